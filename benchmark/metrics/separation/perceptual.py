"""PESQ and STOI by their packages (extra `separation`): what a listener would say, as far as a formula can.

A number is worth nothing without the name of what made it: each score comes as `pesq wb (pesq 0.0.4, MOS-LQO)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import numpy as np

from benchmark.errors import UserError

PesqMode = Literal["wb", "nb"]


@dataclass(frozen=True)
class Perceptual:
    """A score, its full name, and why it is NaN where it is."""

    name: str
    value: float
    reason: str | None = None


def pesq_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, mode: PesqMode = "wb") -> Perceptual:
    """PESQ as MOS-LQO (ITU-T P.862.2 wide-band, P.862.1 narrow-band) of (T,) signals at 8 kHz (`nb`) or 16 kHz.

    Raises:
        UserError: the package is not installed.
        ValueError: a rate that PESQ is not defined at.
    """
    if sample_rate not in (8000, 16000) or (sample_rate == 8000 and mode == "wb"):
        raise ValueError(f"PESQ {mode} is not defined at {sample_rate} Hz; resample to 16 kHz (or 8 kHz, nb)")
    pesq = _package("pesq")
    name = f"pesq {mode} (pesq {metadata.version('pesq')}, MOS-LQO)"
    return _guarded(name, lambda: pesq.pesq(sample_rate, reference, estimate, mode))


def stoi_score(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, extended: bool = False) -> Perceptual:
    """STOI (Taal et al. 2011), or ESTOI (Jensen & Taal 2016) if `extended`, of (T,) signals; at most 1.

    Raises:
        UserError: the package is not installed.
    """
    pystoi = _package("pystoi")
    name = f"{'estoi' if extended else 'stoi'} (pystoi {metadata.version('pystoi')})"
    return _guarded(name, lambda: pystoi.stoi(reference, estimate, sample_rate, extended=extended))


def _guarded(name: str, score: Callable[[], float]) -> Perceptual:
    import warnings

    with warnings.catch_warnings():
        # pystoi answers 1e-5 with a warning where too little is left after the silence; that is no score.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            value = float(score())
        except Exception as error:
            reason = str(error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error)
            return Perceptual(name, float("nan"), f"{type(error).__name__}: {reason}")
    return Perceptual(name, value) if np.isfinite(value) else Perceptual(name, float("nan"), "not finite")


def _package(name: str):
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{name} is not installed; pip install 'leveret[separation]'") from None
