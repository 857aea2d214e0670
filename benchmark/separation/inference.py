"""Separating signals of any length in bounded memory: chunks that overlap and fade into each other."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmark.metrics.separation.permutations import best_permutation


def separate_in_chunks(
    separate: Callable[[Tensor], Tensor],
    mixture: Tensor,
    sources: int,
    chunk: int,
    overlap: int,
    fixed_order: bool = True,
    device: str = "cpu",
) -> Tensor:
    """Separate (C, T) chunk by chunk; where chunks overlap, one fades out while the next fades in.

    A separator without a fixed order of its sources may name them otherwise in each chunk: then chunks are put in the
    order of the one before, by their correlation over the overlap.

    Args:
        separate: (1, C, t) to (1, K, C, t).
        mixture: (C, T).
        sources: K.
        chunk: samples that are separated at once; a shorter signal is separated whole.
        overlap: samples that a chunk shares with the next, at most half of it.
        fixed_order: whether the first source is always the same one.
        device: where `separate` runs; the result lies where the mixture does.

    Returns:
        (K, C, T).
    """
    if not 0 <= overlap <= chunk // 2:
        raise ValueError(f"overlap is {overlap}; it must lie between 0 and half a chunk, {chunk // 2}")
    channels, samples = mixture.shape
    if samples <= chunk:
        return separate(mixture[None].to(device))[0].to(mixture)
    result = mixture.new_zeros(sources, channels, samples)
    step = chunk - overlap
    fade = torch.linspace(0, 1, overlap + 2, device=mixture.device, dtype=mixture.dtype)[1:-1]
    for start in range(0, samples - overlap, step):
        end = min(start + chunk, samples)
        found = separate(mixture[None, :, start:end].to(device))[0].to(mixture)
        shared = min(overlap, end - start) if start else 0
        if shared:
            before = result[..., start : start + shared]
            if not fixed_order:
                found = found[_same_order(before, found[..., :shared])]
            weight = fade[:shared]
            result[..., start : start + shared] = before * (1 - weight) + found[..., :shared] * weight
        result[..., start + shared : end] = found[..., shared:]
    return result


def _same_order(before: Tensor, after: Tensor) -> Tensor:
    """Which of the sources `after` continues each of those `before`, both (K, C, t)."""
    a, b = (torch.nn.functional.normalize(x.flatten(1), dim=1) for x in (before, after))
    return best_permutation((a @ b.T)[None])[0]
