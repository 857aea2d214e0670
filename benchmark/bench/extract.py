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
from benchmark.bench.workers import Workers
from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_embedding
from benchmark.embeddings.seeded import build_seeded
from benchmark.embeddings.weights import is_here
from benchmark.engine.precision import use_fast_float32_matmul
from benchmark.errors import UserError

# Embeddings that do what a reference's script in `peers` does: family -> model.
_PEERS = {"beats": "iter3", "ge2e": None, "ina": "sm", "openl3": "mel256-512", "panns": "cnn14"}


def run(
    root: Path,
    select: Sequence[str] = (),
    *,
    seconds: float = 10.0,
    files: int = 4,
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
        seconds: of audio a file.
        files: how many there are.
        precision: `float32` or `bfloat16`, for families that know it.
        threads: of the forward pass and of the reference, and processes of one thread of the whole extraction; 0: as many
            as PyTorch takes by itself.
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
    if files < 1:
        raise UserError(f"--files {files}: there must be one at least")
    configs = selected(root, select)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    used = torch.get_num_threads()
    fast = use_fast_float32_matmul()
    report = BenchReport(f"Extraction, audio seconds per second, {precision}", [])
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
        sounds = write_files(Path(folder), files, seconds)
        for config in configs:
            row, notes = _row(config, sounds, seconds * files, precision, rounds, clock, peers)
            report.rows.append(row)
            report.notes += [f"{config.name}: {note}" for note in notes]
    torch.set_num_threads(before)
    report.notes[:0] = [
        f"{files} stereo WAV files of {seconds:g} s at 44.1 kHz; medians of {rounds} rounds in which all sides take turns, by the "
        f"{clock} clock; float32 products by {'oneDNN' if fast else 'the default library'}.",
        f"whole: from files to a shard of the store (decode, resample, front end, network), in processes of one thread, {used} "
        f"at most; forward: the network alone on batches that are ready, {used} thread(s); reference: one file at a time, {used} "
        "thread(s).",
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
            workers = stack.enter_context(Workers(config, not here, files, torch.get_num_threads()))
        except UserError as error:
            return row, [str(error)]
        if not here:
            notes.append("random weights")
        sides: dict[str, Timed] = {"whole": workers.run}
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
