"""Scaling of features with statistics of each fold's training part only."""

from typing import get_args

import torch

from benchmark.config.schema_probe import Scaling

# Elements of a block of rows, so that its float64 copy stays in the cache.
_BLOCK = 1 << 17


def fit_scaling(features: torch.Tensor, parts: torch.Tensor, kind: Scaling) -> tuple[torch.Tensor, torch.Tensor]:
    """Find shift and scale per fold, so that `(x - shift) / scale` is the scaled feature.

    `standard` is zero mean and unit variance; `kehling` is zero mean and largest absolute value 1 (Kehling & Cano:
    "zero mean in a range of -1 to 1"); `minmax` is [0, 1] (their scaling of OpenL3); `none` leaves features alone. A
    feature that is constant in a training part has scale 1.

    Args:
        features: (n, F) float.
        parts: (K, n) bool, the rows of each fold's training part.
        kind: Which scaling.

    Returns:
        shift (K, F) and scale (K, F), float64.
    """
    folds, dim = len(parts), features.shape[1]
    options = {"dtype": torch.float64, "device": features.device}
    if kind not in get_args(Scaling):
        raise ValueError(f"scaling {kind!r} is not one of {', '.join(get_args(Scaling))}")
    shift, scale = torch.zeros(folds, dim, **options), torch.ones(folds, dim, **options)
    if kind == "none":
        return shift, scale
    size = max(64, _BLOCK // dim)
    blocks = [slice(start, start + size) for start in range(0, len(features), size)]
    weights = parts.to(torch.float64)
    counts = weights.sum(1)[:, None]
    # Everything is taken relative to about the mean of all training rows, so that the second moment does not cancel.
    taught = parts.any(0)
    pivot = (taught.to(features.dtype) @ features / taught.sum()).to(torch.float64)
    mean, second = torch.zeros_like(shift), torch.zeros_like(shift)
    for rows in blocks:
        moved = features[rows] - pivot
        mean.addmm_(weights[:, rows], moved)
        if kind == "standard":
            second.addmm_(weights[:, rows], moved.square_())
    mean /= counts
    if kind == "standard":
        second /= counts
        variance = second - mean**2
        constant = variance <= 1e-12 * second
        return pivot + mean, torch.where(constant, 1.0, variance.clamp(min=0).sqrt())
    low, high = torch.full_like(shift, torch.inf), torch.full_like(shift, -torch.inf)
    for fold in range(folds):
        for rows in blocks:
            block = features[rows][parts[fold, rows]].to(torch.float64)
            if len(block):
                low[fold] = torch.minimum(low[fold], block.amin(0))
                high[fold] = torch.maximum(high[fold], block.amax(0))
    shift = low if kind == "minmax" else pivot + mean
    width = high - low if kind == "minmax" else torch.maximum(high - shift, shift - low)
    return shift, torch.where(high == low, 1.0, width)
