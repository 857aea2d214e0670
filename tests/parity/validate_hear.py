"""Run hear-validator on embeddings through `benchmark.hear`, and print what it says of each as a Markdown table.

Usage: python -m tests.parity.validate_hear [--narrow] [NAME OR GLOB ...]

Run it in the repository. Needs hearvalidator (2021.0.2 was used; `pip install --no-deps hearvalidator`). Its import of
TensorFlow, which our modules do not use, is satisfied by an empty module where there is none. Weights that are here are
used, random ones in place of the others. Embeddings that differ in their weights alone are then one and the same, which
is run once. The quick ones come first; the whole takes an hour on a quiet core, half of it for OpenL3. `--narrow` lets the
large families build networks of few blocks or channels, whose vectors, times and batches are those of the full size.
"""

import contextlib
import importlib.machinery
import io
import sys
import time
import types
import warnings
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch

from benchmark import hear
from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.costs import key_of, known
from benchmark.embeddings.weights import is_here
from tests.embeddings.thinned import thin


def main(*select: str) -> int:
    narrow = "--narrow" in select
    select = tuple(glob for glob in select if glob != "--narrow")
    if narrow:
        thin(pytest.MonkeyPatch(), blocks=12)
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        stand_in = types.ModuleType("tensorflow")
        # Others look whether it could be imported.
        stand_in.__spec__ = importlib.machinery.ModuleSpec("tensorflow", None)
        stand_in.Module = type("Module", (), {})
        sys.modules["tensorflow"] = stand_in
    from hearvalidator.validate import ModelError, ValidateModel

    def price(config: EmbeddingConfig) -> int:
        cost = known(config)
        return cost.macs_per_s if cost else 0

    failed = 0
    run: dict[tuple[str, str, str], tuple[str, str]] = {}
    configs = sorted(Catalogue.read(Path()).embeddings.values(), key=price)
    print("| embedding | hear-validator | weights | timestamps | scene | every (ms) |")
    print("|---|---|---|---:|---:|---:|", flush=True)
    for config in configs:
        if select and not any(fnmatch(config.name, glob) for glob in select):
            continue
        real = is_here(config.weights) and config.family not in ("transformers", "pretrained-here")
        weights = (
            "none"
            if config.weights is None and real
            else "the authors'"
            if real
            else "random, narrow"
            if narrow
            else "random"
        )
        identity = (key_of(config), config.pool, config.name if real else "")
        if identity in run:
            other, sizes = run[identity]
            print(f"| {config.name} | passes, as {other} | {weights} | {sizes} |", flush=True)
            continue
        said = io.StringIO()
        start = time.perf_counter()
        try:
            with contextlib.redirect_stdout(said), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                validator = ValidateModel("benchmark.hear", config.name + ("" if real else f"={hear.RANDOM}"), "cpu")
                validator()
            model = validator.model
            every = f"{1000 * model.embedding.hop_seconds:.4g}"
            sizes = f"{model.timestamp_embedding_size} | {model.scene_embedding_size} | {every}"
            run[identity] = config.name, sizes
            print(f"| {config.name} | passes | {weights} | {sizes} |", flush=True)
        except (Exception, ModelError) as error:
            failed += 1
            print(f"| {config.name} | {type(error).__name__}: {str(error)[:160]} | | | | |", flush=True)
        print(f"{config.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:]) > 0)
