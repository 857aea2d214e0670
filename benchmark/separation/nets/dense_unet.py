"""Dense U-Net with self-attention over time (Liu et al. 2020), as restated by Zhang, Liu & Wang (ICASSP 2021).

What the papers leave open (channels, sizes of the attention, how the resolution changes) is the nearest public code's
of the same author: 64 channels, a depthwise 2 x 2 convolution down, a transposed one up.
"""

import torch
from torch import Tensor, nn


class DenseBlock(nn.Module):
    """Four 3 x 3 convolutions, each of all that came before it; the last one without padding takes a bin off each side."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(inputs + i * channels, channels, 3, padding=1 if i < 3 else 0) for i in range(4)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(nn.functional.elu(conv(x)))
            x = y if i == 3 else torch.cat([x, y], dim=1)
        return x


class TimeAttention(nn.Module):
    """Every frame attends to every other: what repeats helps what is hidden; its result is joined to the input.

    Args:
        channels: C; the result has 2 C.
        bins: F at this level.
        inner: channels of queries and keys.
        size: E, their size after the map along channels and frequency.
    """

    def __init__(self, channels: int, bins: int, inner: int = 5, size: int = 20):
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.query_map, self.key_map = nn.Linear(inner * bins, size), nn.Linear(inner * bins, size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, F, T) to (B, 2 C, F, T)."""
        query = self.query_map(self.query(x).flatten(1, 2).transpose(1, 2))
        key = self.key_map(self.key(x).flatten(1, 2).transpose(1, 2))
        weights = torch.softmax(query @ key.transpose(1, 2), dim=-1)
        attended = self.value(x).flatten(1, 2) @ weights.transpose(1, 2)
        return torch.cat([x, attended.view_as(x)], dim=1)


class DenseUNet(nn.Module):
    """Nine dense blocks, four times down and up, attention after all blocks but the first.

    Args:
        inputs: channels of the spectrum.
        outputs: channels of the result, linear.
        bins: F that the result must have at least.
        channels: of a convolution.
        attention: whether there is any.
        dropout: before each step down.
    """

    def __init__(
        self, inputs: int = 2, outputs: int = 4, bins: int = 513, channels: int = 64, attention: bool = True,
        dropout: float = 0.5,
    ):  # fmt: skip
        super().__init__()
        sizes = _sizes(bins)
        self.bins = bins
        self.first = DenseBlock(inputs, channels)
        self.down, self.down_blocks, self.up, self.up_blocks = (nn.ModuleList() for _ in range(4))
        self.attend = nn.ModuleList()
        wide = 2 * channels if attention else channels
        for level in range(4):
            before = channels if level == 0 else wide
            step = nn.Conv2d(before, before, 2, stride=2, groups=before)
            self.down.append(nn.Sequential(nn.Dropout(dropout), step))
            self.down_blocks.append(DenseBlock(before, channels))
        for level in range(4):
            deconv = nn.ConvTranspose2d(wide, channels, 2, stride=2)
            self.up.append(nn.Sequential(deconv, nn.ELU(), nn.GroupNorm(1, channels)))
            skip = channels if level == 3 else wide
            self.up_blocks.append(DenseBlock(channels + skip, channels))
        for size in [*sizes["down"], *sizes["up"]]:
            self.attend.append(TimeAttention(channels, size) if attention else nn.Identity())
        self.join = nn.Conv2d(wide, channels, 1)
        self.heads = nn.Conv2d(channels, outputs, 1)

    @staticmethod
    def lengths(wanted: int) -> tuple[int, int]:
        """Bins (or frames) of an input, and of its output, which is no less than `wanted`."""
        sizes = _sizes(wanted)
        return sizes["input"][0], sizes["up"][-1]

    def forward(self, spectra: Tensor) -> Tensor:
        """(B, inputs, F', T') of sizes by `lengths` to (B, outputs, F'', T'')."""
        x = self.first(spectra)
        skips = [x]
        for level, (step, block) in enumerate(zip(self.down, self.down_blocks, strict=True)):
            x = self.attend[level](block(step(x)))
            skips.append(x)
        for level, (step, block) in enumerate(zip(self.up, self.up_blocks, strict=True)):
            x = step(x)
            skip = _crop(skips[3 - level], x.shape[-2:])
            x = self.attend[4 + level](block(torch.cat([skip, x], dim=1)))
        return self.heads(nn.functional.elu(self.join(x)))


def _sizes(wanted: int) -> dict[str, list[int]]:
    """Sizes after each block along one axis, from the smallest bottom that gives `wanted` at the end."""
    bottom = 1
    while True:
        up = [bottom]
        for _ in range(4):
            up.append(2 * up[-1] - 2)
        if up[-1] >= wanted and min(up) > 0:
            break
        bottom += 1
    down = [bottom]
    for _ in range(4):
        # Before the block's last convolution two more, before the step twice as many.
        down.append(2 * (down[-1] + 2))
    return {"input": [down[-1] + 2], "down": down[-2::-1], "up": up[1:]}


def _crop(x: Tensor, size: torch.Size) -> Tensor:
    first = [(have - want) // 2 for have, want in zip(x.shape[-2:], size, strict=True)]
    return x[..., first[0] : first[0] + size[0], first[1] : first[1] + size[1]]
