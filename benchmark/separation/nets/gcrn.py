"""GCRN (Tan & Wang, IEEE/ACM TASLP 28, 2020): complex spectra by gated convolutions and grouped LSTMs."""

import torch
from torch import Tensor, nn


class GatedConv(nn.Module):
    """A convolution (or its transpose) times the sigmoid of another one."""

    def __init__(self, inputs: int, outputs: int, transposed: bool = False, output_padding: int = 0):
        super().__init__()
        self.padding = (0, output_padding)

        def make() -> nn.Module:
            if transposed:
                return nn.ConvTranspose2d(inputs, outputs, (1, 3), (1, 2), output_padding=self.padding)
            return nn.Conv2d(inputs, outputs, (1, 3), (1, 2))

        self.transposed = transposed
        self.value, self.gate = make(), make()

    def forward(self, x: Tensor) -> Tensor:
        # Both at once: the call costs more than the product on these maps.
        bias = torch.cat([self.value.bias, self.gate.bias])
        weight = torch.cat([self.value.weight, self.gate.weight], dim=1 if self.transposed else 0)
        if self.transposed:
            both = nn.functional.conv_transpose2d(x, weight, bias, (1, 2), output_padding=self.padding)
        else:
            both = nn.functional.conv2d(x, weight, bias, (1, 2))
        value, gate = both.chunk(2, dim=1)
        return value * torch.sigmoid(gate)


class GroupedLstm(nn.Module):
    """Two layers of G LSTMs, each on its part of the features; between the layers the parts are interleaved."""

    def __init__(self, size: int = 1024, groups: int = 2):
        super().__init__()
        self.groups = groups
        part = size // groups
        self.first = nn.ModuleList(nn.LSTM(part, part, batch_first=True) for _ in range(groups))
        self.second = nn.ModuleList(nn.LSTM(part, part, batch_first=True) for _ in range(groups))
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, size) to the same."""
        parts = [lstm(part)[0] for lstm, part in zip(self.first, x.chunk(self.groups, -1), strict=True)]
        x = self.norm1(torch.stack(parts, dim=-1).flatten(-2))
        parts = [lstm(part)[0] for lstm, part in zip(self.second, x.chunk(self.groups, -1), strict=True)]
        return self.norm2(torch.cat(parts, dim=-1))


class Gcrn(nn.Module):
    """Real and imaginary parts of a mixture to those of K sources, a decoder each; causal.

    Args:
        sources: K.
        width: channels of the first of five layers; they double.
        groups: of the LSTM.
        bins: F, 161.
    """

    def __init__(self, sources: int = 1, width: int = 16, groups: int = 2, bins: int = 161):
        super().__init__()
        self.sources = sources
        sizes = [width * 2**i for i in range(5)]
        widths = [bins]
        for _ in range(5):
            widths.append((widths[-1] - 3) // 2 + 1)
        self.encoder = nn.ModuleList(GatedConv(a, b) for a, b in zip([2, *sizes[:-1]], sizes, strict=True))
        self.encoder_norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes)
        self.lstm = GroupedLstm(sizes[-1] * widths[-1], groups)
        outputs = [*sizes[-2::-1], 1]
        paddings = [widths[i] - ((widths[i + 1] - 1) * 2 + 3) for i in reversed(range(5))]
        self.decoders = nn.ModuleList()
        for _ in range(2 * sources):
            layers = nn.ModuleList(
                GatedConv(2 * size, out, True, padding)
                for size, out, padding in zip(sizes[::-1], outputs, paddings, strict=True)
            )
            norms = nn.ModuleList(nn.BatchNorm2d(out) for out in outputs)
            self.decoders.append(nn.ModuleDict({"layers": layers, "norms": norms, "linear": nn.Linear(bins, bins)}))

    def forward(self, spectra: Tensor) -> Tensor:
        """(B, 2, T, F) to (B, K, 2, T, F)."""
        x, skips = spectra, []
        for conv, norm in zip(self.encoder, self.encoder_norms, strict=True):
            x = nn.functional.elu(norm(conv(x)))
            skips.append(x)
        batch, channels, frames, bins = x.shape
        deep = self.lstm(x.transpose(1, 2).reshape(batch, frames, channels * bins))
        deep = deep.view(batch, frames, channels, bins).transpose(1, 2)
        parts = [self._decode(decoder, deep, skips) for decoder in self.decoders]
        return torch.cat(parts, dim=1).unflatten(1, (self.sources, 2))

    @staticmethod
    def _decode(decoder: nn.ModuleDict, x: Tensor, skips: list[Tensor]) -> Tensor:
        last = len(skips) - 1
        for i, (conv, norm) in enumerate(zip(decoder["layers"], decoder["norms"], strict=True)):
            x = torch.cat([x, skips[last - i]], dim=1)
            # The skips pass the activation a second time, as in the authors' code.
            x = norm(conv(x if i == 0 else nn.functional.elu(x)))
        return decoder["linear"](nn.functional.elu(x))
