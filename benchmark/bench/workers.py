"""Extraction as the stage does it: worker processes of one thread each, among which the files are divided."""

import functools
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmark.bench.timing import timed
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.datasets.clips import Clip


class Workers:
    """Processes that extract an embedding of files, each its own; a context manager that ends them.

    Args:
        config: the embedding's YAML.
        seeded: whether its weights are random.
        files: what is extracted; the first goes to the first worker, the second to the second, and so on.
        count: of processes, at most one a file.
    """

    def __init__(self, config: EmbeddingConfig, seeded: bool, files: Sequence[Path], count: int):
        self._asked = config.model_dump_json(), seeded
        self._parts = [tuple(files[number::count]) for number in range(min(count, len(files)))]
        # One pool for each, as a pool gives its tasks to whoever is free.
        context = multiprocessing.get_context("spawn")
        self._pools = [ProcessPoolExecutor(1, context) for _ in self._parts]

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def run(self) -> dict[str, float]:
        """Extract all files once: `wall` seconds until the last worker is ready, `cpu` seconds of all of them."""
        began = time.perf_counter()
        running = [
            pool.submit(_extract, *self._asked, part) for pool, part in zip(self._pools, self._parts, strict=True)
        ]
        cpu = sum(one.result() for one in running)
        return {"wall": time.perf_counter() - began, "cpu": cpu}


def _extract(config: str, seeded: bool, files: tuple[Path, ...]) -> float:
    """Decode, embed and write a shard of frames; gives the processor seconds that it took."""
    from benchmark.engine.embed_clips import Sink, embed_clips
    from benchmark.store.store import Store

    embedding = _embedding(config, seeded)
    clips = [Clip(path.name, path, None, None, {}, None, None) for path in files]
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:

        def whole() -> None:
            with Store(Path(folder)).writer(embedding.name, "files", "key") as writer:
                sink = Sink(embedding, writer)
                embed_clips(clips, embedding.sample_rate, [sink])
            if sink.failed is not None:
                raise RuntimeError(f"{embedding.name}: {sink.failed}")

        return timed(whole)()["cpu"]


@functools.lru_cache(maxsize=1)
def _embedding(config: str, seeded: bool):
    import torch

    from benchmark.embeddings.registry import build_embedding
    from benchmark.embeddings.seeded import build_seeded
    from benchmark.engine.precision import use_fast_float32_matmul

    torch.set_num_threads(1)
    use_fast_float32_matmul()
    described = EmbeddingConfig.model_validate_json(config)
    return build_seeded(described) if seeded else build_embedding(described, device="cpu")
