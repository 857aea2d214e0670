"""Exact nearest neighbours in blocks."""

from collections.abc import Iterator

import torch

# Elements of a block of similarities: 32 MB, which stay in the cache of a server and in the memory of a laptop.
_BLOCK = 1 << 23
_CHUNK = 65536


def prepare(features: torch.Tensor, metric: str) -> torch.Tensor:
    """Copy features (n, F), for the cosine with length one."""
    if metric != "cosine":
        return features.clone()
    return features / features.norm(dim=1, keepdim=True).clamp(min=1e-30)


def nearest(
    queries: torch.Tensor, references: torch.Tensor, k: int, metric: str
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Find the k references nearest to each query, exactly, in blocks.

    Args:
        queries: (n, F), prepared.
        references: (m, F), prepared; m >= k.
        k: Number of neighbours.
        metric: `cosine`, or `euclidean`, whose similarity is minus half the squared distance.

    Yields:
        Which queries, their similarities (b, k) in falling order and the references' indices (b, k).
    """
    square = 0.5 * (references * references).sum(1) if metric == "euclidean" else None
    width = min(len(references), _CHUNK)
    rows = max(1, _BLOCK // width)
    for start in range(0, len(queries), rows):
        block = queries[start : start + rows]
        best, index = None, None
        for first in range(0, len(references), width):
            chunk = references[first : first + width]
            similarity = block @ chunk.T
            if square is not None:
                similarity -= square[first : first + width]
            value, place = similarity.topk(min(k, len(chunk)), dim=1)
            place += first
            if best is not None:
                value, place = torch.cat([best, value], 1), torch.cat([index, place], 1)
                value, order = value.topk(min(k, value.shape[1]), dim=1)
                place = place.gather(1, order)
            best, index = value, place
        if square is not None:
            best = best - 0.5 * (block * block).sum(1, keepdim=True)
        yield slice(start, start + len(block)), best, index
