"""What an embedding costs: its weights, and its multiply-accumulates (MACs) per second of audio.

Counting runs the network, which takes seconds, so that the counts of the catalogue are kept in `costs.json` beside this
file, and those of a user's own YAMLs under LEVERET_HOME. An entry belongs to a family, a model and arguments, not to a
name: it is never shown for another network than the one that was counted.
"""

import dataclasses
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.weight_sources import home

CATALOGUE = Path(__file__).with_name("costs.json")
# Whole windows of those that hear up to 30 s at once; OpenL3 is regular within a second, and slow.
_SECONDS = {"transformers": 30, "openl3": 1}
_SECONDS_OTHERWISE = 10
# In float32 on a processor these trade multiplications for other work (Winograd, Fourier); in bfloat16, with many threads, they do not.
_PLAIN_IN_BFLOAT16 = ("openl3", "beats", "panns")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Attributes:
    parameters: weights that the network computes with, after its normalisation was folded.
    macs_per_s: MACs of its convolutions, matrix products and recurrent layers, for a second of audio.
    """

    parameters: int
    macs_per_s: int


def key_of(config: EmbeddingConfig) -> str:
    """What a count belongs to."""
    return content_key([config.family, config.model, config.module, config.layer, config.args])


def known(config: EmbeddingConfig) -> Cost | None:
    """The cost of an embedding, if it was counted before."""
    entry = _entries(CATALOGUE).get(key_of(config)) or _entries(_own()).get(key_of(config))
    return None if entry is None else Cost(entry["parameters"], entry["macs_per_s"])


def remember(counted: Iterable[tuple[EmbeddingConfig, Cost]], catalogue: bool = False) -> Path:
    """Keep counts under LEVERET_HOME, or in the catalogue's own file; gives the file."""
    path = CATALOGUE if catalogue else _own()
    entries = dict(_entries(path))
    for config, cost in counted:
        entries[key_of(config)] = {"of": config.name, **dataclasses.asdict(cost)}
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = sorted(entries.items(), key=lambda item: (item[1]["of"], item[0]))
    part = path.with_name(path.name + ".part")
    part.write_text("{\n" + ",\n".join(f'"{key}": {json.dumps(entry)}' for key, entry in ordered) + "\n}\n", "utf-8")
    part.replace(path)
    _entries.cache_clear()
    return path


def count(config: EmbeddingConfig) -> Cost:
    """Build an embedding with random weights and count while it hears noise.

    Raises:
        UserError: it cannot be built without its own weights.
    """
    import numpy as np
    import torch
    from torch import nn
    from torch.nn.utils import parametrize
    from torch.utils.flop_counter import FlopCounterMode

    from benchmark.embeddings.seeded import build_seeded
    from benchmark.models.filtered_conv import MOST_THREADS

    if config.family in _PLAIN_IN_BFLOAT16:
        config = config.model_copy(update={"args": {**config.args, "dtype": "bfloat16"}})
    embedding = build_seeded(config)
    modules = [value for value in vars(embedding).values() if isinstance(value, nn.Module)]
    layers = [layer for module in modules for layer in module.modules()]
    for layer in layers:
        # The counter cannot look through the weight normalisation of the transformers.
        for name in list(getattr(layer, "parametrizations", ())):
            parametrize.remove_parametrizations(layer, name)
    weights = {id(weight): weight.numel() for module in modules for weight in module.parameters()}
    seconds = _SECONDS.get(config.family, _SECONDS_OTHERWISE)
    noise = np.random.default_rng(0).standard_normal(seconds * embedding.sample_rate)
    recurrent: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda own, given, out: recurrent.append(_recurrent_macs(own, given[0].shape)))
        for layer in layers
        if isinstance(layer, nn.RNNBase)
    ]
    threads = torch.get_num_threads()
    # With more threads convolutions are not filtered, which would hide three quarters of their products.
    torch.set_num_threads(max(threads, MOST_THREADS + 1))
    try:
        with FlopCounterMode(display=False) as counter:
            frames, _ = embedding.embed([(0.1 * noise).astype(np.float32)])[0]
    finally:
        torch.set_num_threads(threads)
    for hook in hooks:
        hook.remove()
    macs = counter.get_total_flops() / 2 + sum(recurrent)
    # What a frame costs, rather than the clip: frames at the ends hear beyond it.
    return Cost(sum(weights.values()), round(macs / len(frames) / embedding.hop_seconds))


def _recurrent_macs(layer, shape) -> int:
    """MACs of the matrix products of a recurrent layer on inputs of `shape`, which the counter does not see."""
    steps = shape[:-1].numel()
    return steps * sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight"))


def _own() -> Path:
    return home() / CATALOGUE.name


@lru_cache(maxsize=4)
def _entries(path: Path) -> dict[str, dict]:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
