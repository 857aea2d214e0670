"""Training a separator on mixtures that are made step by step; each step depends on the seed and its number alone.

So a run that was killed goes on from its last saved state to the same weights, bit for bit, that an undisturbed one
ends with (on a CPU, with the same number of threads).
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from benchmark.config.schema_separator import TrainingConfig
from benchmark.separation.base import Separator
from benchmark.separation.stems import StemReader, Track

_VALIDATED = 32
_FITTED = 32
_OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adadelta": torch.optim.Adadelta,
    "sgd": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
}


@dataclass(frozen=True)
class TrainingReport:
    """How a training went: steps done, the step of the best validation, its loss, and the losses of all validations."""

    steps: int
    best_step: int
    best_loss: float
    losses: tuple[tuple[int, float, float], ...]


def train_separator(
    separator: Separator,
    train: Sequence[Track],
    valid: Sequence[Track],
    reader: StemReader,
    config: TrainingConfig,
    seed: int,
    state: Path | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    curves: Callable[[int, Mapping[str, float]], None] | None = None,
) -> TrainingReport:
    """Train in place; at the end the separator has the weights of its best validation.

    Args:
        separator: with random weights.
        train, valid: tracks to learn from, and to choose by; without `valid` the last weights are kept.
        reader: reads them at the separator's rate.
        config: how.
        seed: of the order of examples, their gains, and dropout.
        state: where the state is saved at every validation and taken up from; removed at the end.
        device: where it is trained.
        progress: called with (steps done, steps in all).
        curves: called at every validation with the step and the losses and the learning rate.
    """
    separator.to(device).train()
    examples = _Examples(train, reader, config, seed)
    if hasattr(separator, "fit_statistics"):
        separator.fit_statistics([examples.mixture(i).to(device) for i in range(min(_FITTED, len(train)))])
    optimiser = _OPTIMISERS[config.optimiser](separator.parameters(), lr=config.lr)
    scaler = torch.amp.GradScaler(device.split(":")[0], enabled=config.precision == "float16")
    step, best, bad, history = 0, {"loss": math.inf, "step": 0, "weights": None}, 0, []
    if state is not None and state.is_file():
        saved = torch.load(state, map_location=device, weights_only=True)
        separator.load_state_dict(saved["separator"])
        optimiser.load_state_dict(saved["optimiser"])
        step, best, bad = saved["step"], saved["best"], saved["bad"]
        history = [tuple(entry) for entry in saved["history"]]
        scaler.load_state_dict(saved["scaler"])
    loss_of = torch.compile(separator.loss) if config.compile else separator.loss
    running: list[float] = []
    while step < config.steps and (config.patience is None or bad < config.patience):
        torch.manual_seed((seed * 1_000_003 + step) % 2**63)
        mixture, stems = (x.to(device) for x in examples.batch(step))
        with _autocast(config, device):
            loss = loss_of(mixture, stems)
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        if config.clip_norm is not None:
            scaler.unscale_(optimiser)
            norm = torch.nn.utils.clip_grad_norm_(separator.parameters(), config.clip_norm)
            # One example that gives no gradient must not end the training.
            if not bool(torch.isfinite(norm)):
                optimiser.zero_grad(set_to_none=True)
        scaler.step(optimiser)
        scaler.update()
        running.append(float(loss.detach()))
        step += 1
        if progress is not None:
            progress(step, config.steps)
        if step % config.validate_every == 0 or step == config.steps:
            value = _validate(separator, valid, reader, config, device) if valid else -float(step)
            history.append((step, float(np.mean(running)), value))
            if curves is not None:
                rate = optimiser.param_groups[0]["lr"]
                curves(step, {"loss/train": history[-1][1], "loss/valid": value, "learning_rate": rate})
            running = []
            if value < best["loss"]:
                weights = {key: tensor.detach().clone() for key, tensor in separator.state_dict().items()}
                best, bad = {"loss": value, "step": step, "weights": weights}, 0
            else:
                bad += 1
                if config.halve_after is not None and bad % config.halve_after == 0:
                    for group in optimiser.param_groups:
                        group["lr"] /= 2
            if state is not None:
                _save(state, separator, optimiser, scaler, step, best, bad, history)
    if best["weights"] is not None:
        separator.load_state_dict(best["weights"])
    if state is not None:
        state.unlink(missing_ok=True)
    separator.eval()
    return TrainingReport(step, best["step"], best["loss"], tuple(history))


class _Examples:
    """Batches of segments, a function of the step alone."""

    def __init__(self, tracks: Sequence[Track], reader: StemReader, config: TrainingConfig, seed: int):
        if not tracks:
            raise ValueError("there are no tracks to train on")
        self.tracks, self.reader, self.config, self.seed = tracks, reader, config, seed
        self.samples = round(config.segment_s * reader.sample_rate)

    def mixture(self, index: int) -> Tensor:
        """The whole mixture (C, T) of a track."""
        return torch.from_numpy(self.reader.mixture(self.tracks[index]))

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Mixtures (B, C, T) and their stems (B, K, C, T)."""
        rng = np.random.default_rng([self.seed, step])
        parts = np.stack([self._example(rng) for _ in range(self.config.batch)])
        return torch.from_numpy(parts.sum(axis=1)), torch.from_numpy(parts[:, : len(self.tracks[0].sources)])

    def _example(self, rng: np.random.Generator) -> np.ndarray:
        stems = self._segment(rng)
        count = len(stems)
        if self.config.remix:
            stems = np.stack([stems[0], *(self._segment(rng)[k] for k in range(1, count))])
        gains = rng.uniform(*self.config.gain, size=(count, 1, 1)).astype(np.float32)
        if self.config.swap_channels and stems.shape[1] == 2:
            for k in np.flatnonzero(rng.random(count) < 0.5):
                stems[k] = stems[k, ::-1]
        for k in np.flatnonzero(rng.random(count) < self.config.colour):
            stems[k] = coloured(stems[k], rng)
        return stems * gains

    def _segment(self, rng: np.random.Generator) -> np.ndarray:
        """A random segment of the parts of a random track; a shorter one lies at a random place in silence."""
        stems = self.reader.parts(self.tracks[int(rng.integers(len(self.tracks)))])
        return cut(stems, self.samples, rng)


def coloured(stem: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A stem (C, T) as another microphone hears it: a random filter of second order, of the same loudness.

    Zeros and poles as in Valin, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement" (2018),
    equation 8: coefficients are uniform in +-3/8, which keeps the filter stable.
    """
    b1, b2, a1, a2 = rng.uniform(-3 / 8, 3 / 8, size=4)
    filtered = lfilter([1.0, b1, b2], [1.0, a1, a2], stem, axis=-1)
    before, after = np.square(stem).sum(), np.square(filtered).sum()
    return (filtered * np.sqrt(before / after) if after > 0 else filtered).astype(np.float32)


def cut(stems: np.ndarray, samples: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """Exactly `samples` of stems (K, C, T): at random, or the middle."""
    spare = stems.shape[-1] - samples
    if spare >= 0:
        start = spare // 2 if rng is None else int(rng.integers(spare + 1))
        return stems[..., start : start + samples].copy()
    before = -spare // 2 if rng is None else int(rng.integers(-spare + 1))
    return np.pad(stems, ((0, 0), (0, 0), (before, -spare - before)))


def _validate(
    separator: Separator, tracks: Sequence[Track], reader: StemReader, config: TrainingConfig, device: str
) -> float:
    """Mean loss over the middles of validation tracks."""
    samples = round(config.segment_s * reader.sample_rate)
    separator.eval()
    losses = []
    with torch.inference_mode():
        chosen = [cut(reader.parts(track), samples) for track in tracks[:_VALIDATED]]
        for first in range(0, len(chosen), config.batch):
            parts = torch.from_numpy(np.stack(chosen[first : first + config.batch])).to(device)
            losses.append((float(separator.loss(parts.sum(1), parts[:, : len(tracks[0].sources)])), len(parts)))
    separator.train()
    value = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    return value if math.isfinite(value) else math.inf


def _autocast(config: TrainingConfig, device: str):
    if config.precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.split(":")[0], getattr(torch, config.precision))


def _save(
    path: Path, separator: Separator, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler, step: int,
    best: dict[str, Any], bad: int, history: list,
) -> None:  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    torch.save(
        {
            "separator": separator.state_dict(),
            "optimiser": optimiser.state_dict(),
            "scaler": scaler.state_dict(),
            "step": step,
            "best": best,
            "bad": bad,
            "history": [list(entry) for entry in history],
        },
        part,
    )
    part.replace(path)
