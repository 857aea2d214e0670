"""From a separator's YAML and weights, or the ideal masks, to the sources of a mixture of any length."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.separation.base import Separator
from benchmark.separation.families import build_separator, make_stft
from benchmark.separation.inference import separate_in_chunks
from benchmark.separation.oracles import separate_oracle
from benchmark.separation.published import load_published


def load_separator(
    config: SeparatorConfig,
    sources: Sequence[str],
    fixed_order: bool,
    device: str,
    trained: Path | None = None,
    weights: Mapping[str, Path] | None = None,
) -> Separator:
    """Build a separator with its weights, ready to separate.

    Args:
        config: of a family that learns.
        sources: of the mixtures that it was trained on.
        fixed_order: whether these differ in kind.
        device: where it runs.
        trained: file of weights that were trained here; None: `weights`, source (or `all`) -> file, are published ones.

    Raises:
        UserError: the YAML or the weights are wrong.
    """
    separator = build_separator(config, sources, fixed_order)
    if trained is None:
        load_published(separator, config, dict(weights or {}))
    else:
        separator.load_state_dict(load_file(trained))
    return separator.to(device).eval()


@torch.inference_mode()
def estimate(
    config: SeparatorConfig,
    separator: Separator | None,
    mixture: np.ndarray,
    parts: np.ndarray,
    count: int,
    device: str,
) -> Tensor:
    """Estimates (count, C, T) of the sources of a mixture.

    Args:
        config: the separator's YAML.
        separator: None where it is an oracle.
        mixture: (C, T) float32 at the separator's rate and channels.
        parts: (K', C, T), K' >= count: the stems, and what else is in the mixture; only an oracle looks at them.
        count: number of sources.
        device: where the separator runs.
    """
    mixed = torch.from_numpy(np.ascontiguousarray(mixture))
    if separator is None:
        options = {key: value for key, value in config.args.items() if key != "kind"}
        kind = config.args.get("kind", "mixture")
        # What is no wanted source is part of the mixture, too: masks share it out among all.
        return separate_oracle(mixed, torch.from_numpy(parts), kind, make_stft(config), **options)[:count]
    chunk, overlap = (round(s * config.sample_rate) for s in (config.chunk_s, config.overlap_s))
    number = count if separator.counts_any else None
    return separate_in_chunks(
        lambda part: separator.separate(part, number), mixed, count, chunk, overlap, separator.fixed_order, device
    )
