"""The first layer of INA's networks, computed once for all overlapping patches of a clip.

The original normalises every patch, (x - mean) / std, and then convolves it. A convolution is linear, so that with the
kernel w and the bias b of the first layer (its batch normalisation folded in)

    w * (x - mean) / std + b  =  (w * x) / std + (b - mean sum(w) / std),

and w * x is the same for all patches of a clip. ReLU and maximum pooling may change places, as both are monotonic and
std > 0, so a pooling behind the first layer is shared too. The result is that of the layers up to rounding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.ina import FRAMES, Ina

# Frames between the starts of consecutive patches.
STEP = 2


class SharedStem(nn.Module):
    """First convolution, ReLU and the pooling behind them, if there is one, of a folded `Ina` network."""

    def __init__(self, net: Ina):
        super().__init__()
        first = net.convolutions[0]
        self.rows = FRAMES - first.kernel_size[0] + 1
        self.pool = net.design.pools.get(0)
        weight = first.weight.detach()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", first.bias.detach())
        self.register_buffer("weight_sum", weight.double().sum(dim=(1, 2, 3)).to(weight.dtype))

    def forward(self, log_mel: Tensor, which: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Maps (B, C, rows, mel), channels last, of patches of a clip.

        Args:
            log_mel: the clip, (T, bands), not normalised.
            which: numbers of the patches, ascending, (B,); number i starts at frame 2 i.
            mean, std: of the patches, (B,).
        """
        first, last = int(which[0]), int(which[-1])
        parts = self._shared(log_mel[first * STEP : last * STEP + FRAMES])
        if last - first != len(which) - 1:
            parts = [part[which - first] for part in parts]
        maps = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        scale = (1.0 / std)[:, None, None, None]
        shift = self.bias - (mean / std)[:, None] * self.weight_sum
        # Without `out` the result would take over the order of the overlapping windows in memory.
        out = maps.new_empty(maps.shape)
        return torch.addcmul(shift[:, None, None], maps, scale, out=out).relu_().permute(0, 3, 1, 2)

    def _shared(self, log_mel: Tensor) -> list[Tensor]:
        """What all patches of (T, bands) have in common: views (P, rows, mel, C), their rows in order of time."""
        z = functional.conv2d(log_mel[None, None], self.weight).contiguous(memory_format=torch.channels_last)
        if self.pool is None:
            return [_windows(z, self.rows, STEP)]
        if self.pool.padding == 0:
            return [_windows(functional.max_pool2d(z, self.pool.kernel_size, STEP), self.rows // 2, 1)]
        # smn: windows of four rows, the first and the last of which reach one row over the edge of the patch.
        size, width = self.pool.kernel_size
        inner = functional.max_pool2d(z[:, :, 1:], (size, width), (STEP, width))
        first = functional.max_pool2d(z, (size - 1, width), (STEP, width))
        last = functional.max_pool2d(z[:, :, self.rows - size + 1 :], (size - 1, width), (STEP, width))
        span = self.rows - 2 * size
        parts = _windows(first, 1, 1), _windows(inner[:, :, 1:], span // STEP, 1)[:, ::2], _windows(last, 1, 1)
        patches = 1 + (len(log_mel) - FRAMES) // STEP
        return [part[:patches] for part in parts]


def _windows(z: Tensor, rows: int, step: int) -> Tensor:
    """Overlapping windows (P, rows, mel, C) of maps (1, C, T, mel) as a view."""
    return z[0].permute(1, 2, 0).contiguous().unfold(0, rows, step).permute(0, 3, 1, 2)
