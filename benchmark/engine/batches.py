"""How much audio a network hears at once: what its family says, what the user says, or what a short timing says.

The batch changes results in their last bits. A timing is therefore made once a machine and kept under LEVERET_HOME, so that two
runs on one machine give the same bytes; and on a processor, where families come with batches that were measured, it is made
only where it is asked for.
"""

import json
import time
from collections.abc import Callable

import numpy as np
import torch
from filelock import FileLock

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.weight_sources import home
from benchmark.engine.embed_clips import GROUP_S

LEDGER = "batches.json"

_FACTORS = (0.25, 1.0, 4.0)
_CLIP_S = 10.0
# A smaller batch is as good as one that is faster by less than this.
_WORTH = 1.05


def choose_batch(embedding: Embedding, config: EmbeddingConfig, wanted: str | float) -> None:
    """Set the batch of an embedding, if it leaves the choice.

    Args:
        wanted: seconds of audio; `timed`; or `auto`: timed on a GPU, the family's own on a processor.
    """
    if embedding.batch_s is None or (wanted == "auto" and embedding.device.type == "cpu"):
        return
    if isinstance(wanted, str):
        embedding.batch_s = _remembered(
            [config.model_dump(mode="json"), _machine(embedding.device)], lambda: fastest_batch(embedding)
        )
    else:
        embedding.batch_s = wanted


def fastest_batch(embedding: Embedding, clock: Callable[[], float] = time.perf_counter) -> float:
    """The batch in seconds of audio, among a quarter, one and four times the present one, that takes the least time.

    Batches on a GPU are at most as long as what extraction hands over at once.
    """
    present = float(embedding.batch_s or 0.0)
    candidates = sorted({min(factor * present, GROUP_S) for factor in _FACTORS})
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(_CLIP_S * embedding.sample_rate)).astype(np.float32)
    clip = noise[: max(1, round(candidates[-1] * embedding.sample_rate))]
    sound = [clip] * max(1, round(candidates[-1] * embedding.sample_rate / len(clip)))
    best, least = candidates[0], np.inf
    for candidate in candidates:
        embedding.batch_s = candidate
        # Once for what is only done once.
        embedding.embed(sound[:1])
        started = clock()
        embedding.embed(sound)
        taken = clock() - started
        if taken * _WORTH < least:
            best, least = candidate, taken
    return best


def _remembered(identity: object, measure: Callable[[], float]) -> float:
    ledger = home() / LEDGER
    ledger.parent.mkdir(parents=True, exist_ok=True)
    key = content_key(identity)
    # Others wait: two timings at once would disturb each other.
    with FileLock(ledger.with_name(LEDGER + ".lock")):
        known = json.loads(ledger.read_text("utf-8")) if ledger.is_file() else {}
        if key not in known:
            known[key] = measure()
            part = ledger.with_name(LEDGER + ".part")
            part.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")
            part.replace(ledger)
    return float(known[key])


def _machine(device: torch.device) -> list[str]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return [torch.__version__, device.type, name, str(torch.get_num_threads())]
