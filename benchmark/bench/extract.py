"""How fast embeddings are extracted: from files, in the bare forward pass, and by the reference's own path."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch

from benchmark.audio.io import decode
from benchmark.bench.forward import bare_forward
from benchmark.bench.peers.client import Peer
from benchmark.bench.report import BenchReport
from benchmark.bench.sounds import write_files
from benchmark.bench.timing import Clock, Timed, in_turns, timed
from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding, pool
from benchmark.embeddings.registry import build_embedding
from benchmark.embeddings.seeded import build_seeded
from benchmark.embeddings.weights import is_here
from benchmark.engine.precision import use_fast_float32_matmul
from benchmark.errors import UserError

_FILES = 3
# Embeddings that do what a reference's script in `peers` does: family -> model.
_PEERS = {"beats": "iter3", "ge2e": None, "ina": "sm", "openl3": "mel256-512", "panns": "cnn14"}


def run(
    root: Path,
    select: Sequence[str] = (),
    *,
    seconds: float = 10.0,
    precision: str = "float32",
    threads: int = 0,
    rounds: int = 3,
    clock: Clock = "wall",
    peers: Path | None = None,
) -> BenchReport:
    """Measure embeddings on files made for it.

    Args:
        root: the project.
        select: names or globs of embeddings; all by default.
        seconds: of audio a file; there are three.
        precision: `float32` or `bfloat16`, for families that know it.
        threads: of PyTorch; 0: as many as it takes by itself.
        rounds: how often each side is timed; a round is every side once.
        clock: `wall`, or `cpu`: processor seconds, which other work on the machine changes less.
        peers: folder of references, as `benchmark.bench.peers.client` says; without it none is measured.

    Returns:
        A row an embedding: audio seconds a second of the whole extraction, of the bare forward pass, of the reference,
        and their ratios.

    Raises:
        UserError: nothing is selected, or the precision or the clock is unknown.
    """
    for field, value, known in (("precision", precision, ("float32", "bfloat16")), ("clock", clock, ("wall", "cpu"))):
        if value not in known:
            raise UserError(f"--{field} {value}: unknown; one of {', '.join(known)}")
    configs = selected(root, select)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    fast = use_fast_float32_matmul()
    report = BenchReport(f"Extraction, audio seconds per second, {precision}", [])
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
        files = write_files(Path(folder), _FILES, seconds)
        for config in configs:
            row, notes = _row(config, files, seconds * _FILES, precision, rounds, clock, peers)
            report.rows.append(row)
            report.notes += [f"{config.name}: {note}" for note in notes]
    torch.set_num_threads(before)
    report.notes[:0] = [
        f"{_FILES} stereo WAV files of {seconds:g} s at 44.1 kHz; medians of {rounds} rounds in which all sides take turns, by the "
        f"{clock} clock; float32 products by {'oneDNN' if fast else 'the default library'}.",
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


def _row(
    config: EmbeddingConfig,
    files: list[Path],
    seconds: float,
    precision: str,
    rounds: int,
    clock: Clock,
    peers: Path | None,
) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    row: dict[str, Any] = {"embedding": config.name}
    if precision != "float32":
        config = config.model_copy(update={"args": {**config.args, "dtype": precision}})
    with ExitStack() as stack:
        try:
            here = is_here(config.weights) and config.family != "transformers"
            embedding = build_embedding(config, device="cpu") if here else build_seeded(config)
            peer = None
            if peers is not None and config.family in _PEERS and config.model in (_PEERS[config.family], None):
                peer = stack.enter_context(Peer(config.family, peers, files, torch.get_num_threads()))
        except UserError as error:
            return row, [str(error)]
        if not here:
            notes.append("random weights")
        sides: dict[str, Timed] = {"whole": timed(lambda: _whole(embedding, files))}
        forward = bare_forward(embedding, [decode(path, embedding.sample_rate) for path in files])
        if forward is not None:
            sides["forward"] = timed(forward)
        if peer is not None:
            sides["reference"] = peer.run
            notes.append(f"the reference's path: {peer.includes}")
        taken = in_turns(sides, rounds, clock)
    row |= {name: seconds / value for name, value in taken.items()}
    for other in ("forward", "reference"):
        if other in taken:
            row[f"whole / {other}"] = taken[other] / taken["whole"]
    return row, notes


def _whole(embedding: Embedding, files: list[Path]) -> None:
    for frames, _ in embedding.embed([decode(path, embedding.sample_rate) for path in files]):
        pool(frames, embedding.pool_how)
