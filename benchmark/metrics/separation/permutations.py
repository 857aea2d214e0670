"""Which estimate belongs to which source: permutation-invariant scores."""

import itertools

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_ENUMERATED = 3


def best_permutation(scores: Tensor) -> Tensor:
    """The order of estimates with the highest mean score.

    Args:
        scores: (B, K, K): of each reference (rows) with each estimate; NaN (a silent reference) counts for nothing.

    Returns:
        (B, K) int64 index of the estimate of each reference. Up to three sources all orders are tried on the device;
        more are assigned by the Hungarian method.
    """
    count = scores.shape[-1]
    # A silent reference has no preference, an infinite score the strongest.
    clean = torch.nan_to_num(scores.detach(), nan=0.0, posinf=1e6, neginf=-1e6)
    if count <= _ENUMERATED:
        orders = torch.tensor(list(itertools.permutations(range(count))), device=scores.device)
        rows = torch.arange(count, device=scores.device)
        return orders[clean[:, rows, orders].mean(-1).argmax(1)]
    found = [linear_sum_assignment(table, maximize=True)[1] for table in clean.cpu().numpy()]
    return torch.as_tensor(np.stack(found), dtype=torch.int64, device=scores.device)


def pairwise(metric, estimates: Tensor, references: Tensor) -> Tensor:
    """Scores (B, K, K) of each reference with each estimate (B, K, T) under a metric of `ratios`."""
    return metric(estimates[:, None], references[:, :, None].expand(-1, -1, estimates.shape[1], -1))


def reorder(estimates: Tensor, permutation: Tensor) -> Tensor:
    """Estimates (B, K, ...) in the order of the references."""
    index = permutation.view(*permutation.shape, *[1] * (estimates.ndim - 2)).expand_as(estimates)
    return estimates.gather(1, index)
