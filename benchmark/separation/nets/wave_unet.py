"""Wave-U-Net (Stoller, Ewert & Dixon, ISMIR 2018), its variants M1 to M7."""

from typing import Literal

import torch
from torch import Tensor, nn


class WaveUNet(nn.Module):
    """Convolutions on samples with decimation and interpolation, and connections across.

    Args:
        sources: K.
        channels: of the mixture and of each source.
        levels: L.
        width: base number of filters; level i has i times as many.
        context: `valid` convolutions eat their margins and need real samples around the output; else zeros are padded.
        output: `difference`: the last source is what the others leave; `direct`: it is estimated like them.
        upsampling: `linear`, or `learned`: a weight a channel between neighbours.
    """

    def __init__(
        self,
        sources: int = 2,
        channels: int = 1,
        levels: int = 12,
        width: int = 24,
        context: bool = True,
        output: Literal["difference", "direct"] = "difference",
        upsampling: Literal["linear", "learned"] = "linear",
    ):
        super().__init__()
        if output not in ("difference", "direct") or upsampling not in ("linear", "learned"):
            raise ValueError(f"output {output!r} or upsampling {upsampling!r} is unknown")
        self.sources, self.channels, self.levels = sources, channels, levels
        self.context, self.output = context, output
        down_pad, up_pad = (0, 0) if context else (7, 2)
        sizes = [width * (i + 1) for i in range(levels + 1)]
        self.down = nn.ModuleList(
            nn.Conv1d(before, size, 15, padding=down_pad)
            for before, size in zip([channels, *sizes[:-1]], sizes, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Conv1d(sizes[i] + sizes[i + 1], sizes[i], 5, padding=up_pad) for i in reversed(range(levels))
        )
        self.mix = (
            nn.ParameterList(nn.Parameter(torch.zeros(sizes[i + 1])) for i in reversed(range(levels)))
            if upsampling == "learned"
            else None
        )
        predicted = sources - (output == "difference")
        self.heads = nn.ModuleList(nn.Conv1d(sizes[0] + channels, channels, 1) for _ in range(predicted))
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def lengths(self, wanted: int) -> tuple[int, int]:
        """Samples of an input and of its output, the output as short as possible but no shorter than `wanted`."""
        if not self.context:
            multiple = 2**self.levels
            length = -(-wanted // multiple) * multiple
            return length, length
        # From the bottom up: linear interpolation gives 2 n - 1 samples, a convolution takes 4 of them.
        size = 1
        while True:
            out = size
            for _ in range(self.levels):
                out = 2 * out - 1 - 4
            if out >= wanted:
                break
            size += max(1, (wanted - out) // 2**self.levels)
        length = size + 14
        for _ in range(self.levels):
            length = 2 * length - 1 + 14
        return length, out

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixture (B, C, input) to sources (B, K, C, output), each in [-1, 1] but for a difference."""
        x, skips = mixture, []
        for layer in self.down[:-1]:
            x = nn.functional.leaky_relu(layer(x), 0.2)
            skips.append(x)
            x = x[..., ::2]
        x = nn.functional.leaky_relu(self.down[-1](x), 0.2)
        for i, layer in enumerate(self.up):
            x = self._between(x, i)
            skip = skips[-1 - i]
            x = nn.functional.leaky_relu(layer(torch.cat([_centre(skip, x.shape[-1]), x], dim=1)), 0.2)
        centre = _centre(mixture, x.shape[-1])
        x = torch.cat([centre, x], dim=1)
        found = [torch.tanh(head(x)) for head in self.heads]
        if self.output == "difference":
            found.append(centre - torch.stack(found).sum(0))
        return torch.stack(found, dim=1)

    def _between(self, x: Tensor, level: int) -> Tensor:
        """Insert a sample between neighbours; without context one more behind the last, so that lengths double."""
        if not self.context:
            x = torch.cat([x, x[..., -1:]], dim=-1)
        left, right = x[..., :-1], x[..., 1:]
        weight = 0.5 if self.mix is None else torch.sigmoid(self.mix[level])[:, None]
        middle = weight * left + (1 - weight) * right
        woven = torch.stack([left, middle], dim=-1).flatten(-2)
        return torch.cat([woven, x[..., -1:]], dim=-1) if self.context else woven


def _centre(x: Tensor, length: int) -> Tensor:
    first = (x.shape[-1] - length) // 2
    return x[..., first : first + length]
