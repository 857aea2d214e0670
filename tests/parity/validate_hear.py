"""Run hear-validator on embeddings through `benchmark.hear`, and print what it says of each as a Markdown table.

Usage: python -m tests.parity.validate_hear [NAME OR GLOB ...]

Run it in the repository. Needs hearvalidator (2021.0.2 was used; `pip install --no-deps hearvalidator`). Its import of
TensorFlow, which our modules do not use, is satisfied by an empty module where there is none. Weights that are here are
used, random ones in place of the others. The quick ones come first; the whole takes an hour on a core.
"""

import contextlib
import io
import sys
import time
import types
import warnings
from fnmatch import fnmatch
from pathlib import Path

import torch

from benchmark import hear
from benchmark.config.catalogue import Catalogue
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.costs import known
from benchmark.embeddings.weights import is_here


def main(*select: str) -> int:
    try:
        import tensorflow  # noqa: F401
    except ImportError:
        sys.modules["tensorflow"] = types.ModuleType("tensorflow")
        sys.modules["tensorflow"].Module = type("Module", (), {})
    from hearvalidator.validate import ModelError, ValidateModel

    def price(config: EmbeddingConfig) -> int:
        cost = known(config)
        return cost.macs_per_s if cost else 0

    failed = 0
    configs = sorted(Catalogue.read(Path()).embeddings.values(), key=price)
    print("| embedding | hear-validator | weights | timestamps | scene | every (ms) |")
    print("|---|---|---|---:|---:|---:|", flush=True)
    for config in configs:
        if select and not any(fnmatch(config.name, glob) for glob in select):
            continue
        real = is_here(config.weights) and config.family != "transformers"
        said = io.StringIO()
        start = time.perf_counter()
        try:
            with contextlib.redirect_stdout(said), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                validator = ValidateModel("benchmark.hear", config.name + ("" if real else f"={hear.RANDOM}"), "cpu")
                validator()
            model = validator.model
            sizes = f"{model.timestamp_embedding_size} | {model.scene_embedding_size}"
            every = f"{1000 * model.embedding.hop_seconds:.4g}"
            weights = "none" if config.weights is None else "the authors'" if real else "random"
            print(f"| {config.name} | passes | {weights} | {sizes} | {every} |", flush=True)
        except (Exception, ModelError) as error:
            failed += 1
            print(f"| {config.name} | {type(error).__name__}: {str(error)[:160]} | | | | |", flush=True)
        print(f"{config.name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(*sys.argv[1:]) > 0)
