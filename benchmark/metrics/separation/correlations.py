"""Correlations of long signals at a few lags, block by block in float64, so that memory does not grow with the length."""

from collections.abc import Iterator

import torch
from torch import Tensor

# Samples of a transform: blocks of this size stay in the cache of a core.
_TRANSFORM = 8192
# Blocks that are transformed at once.
_BLOCKS = 16


def block_layout(lags: int) -> tuple[int, int]:
    """Samples of a transform and of a block for `lags` delays: a block with its context before and behind fills it."""
    transform = _TRANSFORM
    while transform < 8 * lags:
        transform *= 2
    return transform, transform - 2 * (lags - 1)


def blocks_with_context(signals: Tensor, lags: int) -> Iterator[Tensor]:
    """Blocks (P, S, transform) of signals (S, T) with `lags` - 1 samples before and behind, zeros where there are none."""
    transform, size = block_layout(lags)
    context = lags - 1
    samples = signals.shape[-1]
    # The tail of a filtered signal is `context` samples longer than the signal.
    count = -(-(samples + context) // size)
    for first in range(0, count, _BLOCKS):
        last = min(first + _BLOCKS, count)
        begin, end = first * size - context, last * size + context
        piece = signals[:, max(begin, 0) : min(end, samples)]
        if piece.shape[1] < end - begin:
            piece = torch.nn.functional.pad(piece, (max(-begin, 0), max(end - max(samples, begin), 0)))
        yield piece.unfold(1, transform, size).transpose(0, 1)


def correlations(references: Tensor, others: Tensor, lags: int) -> tuple[Tensor, Tensor]:
    """Correlate references with each other and with other signals, as if zeros surrounded them.

    Args:
        references: (R, T) float64.
        others: (E, T) float64.
        lags: L, number of delays.

    Returns:
        (R, R, 2 L - 1): entry (a, b, L - 1 + d) is the sum over t of a[t] b[t + d], for d in -(L - 1) .. L - 1; and
        (R, E, L): the same of a reference and another signal, for d in 0 .. L - 1.
    """
    transform, size = block_layout(lags)
    context = lags - 1
    count = len(references)
    shape = (count, count + len(others), transform // 2 + 1)
    spectrum = torch.zeros(shape, dtype=torch.complex128, device=references.device)
    pairs = zip(blocks_with_context(references, lags), blocks_with_context(others, lags), strict=True)
    for blocks, other_blocks in pairs:
        around = torch.cat([torch.fft.rfft(blocks), torch.fft.rfft(other_blocks)], dim=1)
        inside = torch.zeros_like(blocks)
        inside[..., context : context + size] = blocks[..., context : context + size]
        alone = torch.fft.rfft(inside).conj().resolve_conj()
        for one, every in zip(alone, around, strict=True):
            # Block by block the sums stay in the cache, where one product of matrices a frequency would not.
            spectrum.addcmul_(one[:, None], every[None])
    circular = torch.fft.irfft(spectrum, n=transform)
    own = torch.cat([circular[:, :count, transform - context :], circular[:, :count, :lags]], dim=-1)
    return own, circular[:, count:, :lags]


def filtered_energies(
    references: Tensor, estimates: Tensor, every: Tensor, own: Tensor, owner: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Energies of the parts of estimates, from the signals themselves, where differences of energies would cancel.

    Args:
        references: (R, T) channels of references.
        estimates: (E, T).
        every: (E, R, L) filters that project each estimate on all references.
        own: (E, R, L) the same on some of them; zero for the others.
        owner: (E,) channel of the true source of each estimate.

    Returns:
        Four (E,): of the estimate's own projection, of what the other references add to it, of what neither explains,
        and of the own projection less the true source.
    """
    lags = every.shape[-1]
    transform, size = block_layout(lags)
    context = lags - 1
    count = len(references)
    filters = torch.fft.rfft(torch.stack([every, own]), n=transform)
    sums = [torch.zeros(len(estimates), dtype=references.dtype, device=references.device) for _ in range(4)]
    pairs = zip(blocks_with_context(references, lags), blocks_with_context(estimates, lags), strict=True)
    for blocks, estimate_blocks in pairs:
        spectra = torch.fft.rfft(blocks)
        products = sum(spectra[:, None, r] * filters[:, None, :, r] for r in range(count))
        projected = torch.fft.irfft(products, n=transform)
        whole, target = projected[..., context : context + size]
        true = blocks[:, owner, context : context + size]
        estimate = estimate_blocks[..., context : context + size]
        for total, part in zip(sums, (target, whole - target, estimate - whole, target - true), strict=True):
            total += part.square().sum((0, 2))
    return sums[0], sums[1], sums[2], sums[3]
