"""Embeddings of a user's own files, outside of any task."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.audio.io import stream
from benchmark.config.catalogue import Catalogue
from benchmark.embeddings.base import joined, pool
from benchmark.embeddings.registry import build_embedding
from benchmark.errors import ClipError, UserError


def embed_files(
    root: Path, files: Sequence[Path], output: Path, name: str, weights: Path | None = None
) -> tuple[int, dict[str, str]]:
    """Embed `files` with the embedding `name` into an .npz; returns how many, and the reasons for those that cannot be read.

    The archive holds `files`, `vectors` (n, F'), and for the i-th file `frames_<i>` (n_i, F) and `times_<i>` (n_i,) in seconds.

    Raises:
        UserError: the embedding is unknown, its weights cannot be had, or no file can be read.
    """
    catalogue = Catalogue.read(root)
    if name not in catalogue.embeddings:
        raise UserError(f"leveret embed: embedding {name!r} is unknown; `leveret list embeddings` shows what there is")
    config = catalogue.embeddings[name]
    embedding = build_embedding(config, weights)
    arrays: dict[str, np.ndarray] = {}
    vectors, names, lost = [], [], {}
    for path in files:
        try:
            frames, times = joined(embedding.embed_stream(stream(path, embedding.sample_rate)))
        except ClipError as error:
            lost[str(path)] = str(error)
            continue
        index = len(names)
        arrays[f"frames_{index}"], arrays[f"times_{index}"] = frames, times
        vectors.append(pool(frames, config.pool))
        names.append(str(path))
    if not names:
        raise UserError(
            f"leveret embed: none of the {len(files)} files can be read (first: {next(iter(lost.values()), 'no file')})"
        )
    temporary = output.with_name(f".{output.name}.{os.getpid()}.npz")
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez(temporary, files=np.array(names), vectors=np.stack(vectors), **arrays)
    temporary.replace(output)
    return len(names), lost
