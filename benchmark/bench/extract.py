"""How fast embeddings are extracted: from files, in the bare forward pass, and by the reference's own path."""

import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from benchmark.audio.io import decode
from benchmark.bench.forward import bare_forward
from benchmark.bench.report import BenchReport
from benchmark.bench.sounds import write_files
from benchmark.bench.timing import in_turns, timed
from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding, pool
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import UserError

_FILES = 3


def run(
    root: Path,
    select: Sequence[str] = (),
    *,
    seconds: float = 10.0,
    precision: str = "float32",
    threads: int = 0,
    rounds: int = 3,
) -> BenchReport:
    """Measure embeddings on files made for it.

    Args:
        root: the project.
        select: names or globs of embeddings; all by default.
        seconds: of audio a file; there are three.
        precision: `float32` or `bfloat16`, for families that know it.
        threads: of PyTorch; 0: as many as there are cores.
        rounds: how often each side is timed; a round is every side once.

    Returns:
        A row an embedding: audio seconds a second of the whole extraction, of the bare forward pass, and their ratio.

    Raises:
        UserError: nothing is selected.
    """
    configs = selected(root, select)
    before = torch.get_num_threads()
    if threads:
        torch.set_num_threads(threads)
    try:
        with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
            files = write_files(Path(folder), _FILES, seconds)
            rows = [_row(config, files, seconds * _FILES, precision, rounds) for config in configs]
            report = BenchReport(f"Extraction, audio seconds per second, {precision}", rows)
    finally:
        torch.set_num_threads(before)
    report.notes += [
        f"{_FILES} stereo WAV files of {seconds:g} s at 44.1 kHz; medians of {rounds} rounds, in which all sides take turns.",
        "whole: decode, resample, front end, network, pool, from files; forward: the network alone on batches that are ready.",
    ]
    return report


def selected(root: Path, select: Sequence[str]) -> list[EmbeddingConfig]:
    """The project's embeddings that match one of `select`; all of them without any.

    Raises:
        UserError: none does.
    """
    configs = Catalogue.read(root).embeddings.values()
    found = [config for config in configs if not select or any(fnmatch(config.name, glob) for glob in select)]
    if not found:
        raise UserError(f"--embedding {' '.join(select)}: no such embedding; `leveret list embeddings` shows them")
    return found


def _row(config: EmbeddingConfig, files: list[Path], seconds: float, precision: str, rounds: int) -> dict[str, Any]:
    if precision != "float32":
        config = config.model_copy(update={"args": {**config.args, "dtype": precision}})
    try:
        embedding = build_embedding(config, device="cpu")
    except UserError as error:
        return {"embedding": config.name, "note": str(error)}
    waveforms = [decode(path, embedding.sample_rate) for path in files]
    sides = {"whole": timed(lambda: _whole(embedding, files))}
    forward = bare_forward(embedding, waveforms)
    if forward is not None:
        sides["forward"] = timed(forward)
    taken = in_turns(sides, rounds)
    row = {"embedding": config.name, **{name: seconds / value for name, value in taken.items()}}
    if "forward" in taken:
        row["whole / forward"] = taken["forward"] / taken["whole"]
    return row


def _whole(embedding: Embedding, files: list[Path]) -> None:
    for frames, _ in embedding.embed([decode(path, embedding.sample_rate) for path in files]):
        pool(frames, embedding.pool_how)
