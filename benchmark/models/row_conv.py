"""3 x 3 convolutions of a frozen network on a processor, filtered along their rows (`benchmark.kernels.row_filter`).

Measured on a processor with AVX-512, one thread, against PyTorch's own: 1.5 times as fast with 64 channels in and 128
out, 1.4 with 128 and 128. Fewer outputs do not pay. The transforms are serial, so that many threads do better without.
"""

import torch
from torch import Tensor, nn

from benchmark.kernels.row_filter import RowFilter
from benchmark.models.frozen_conv import frozen, is_plain, replace_layers

LEAST_INPUTS, LEAST_OUTPUTS = 64, 128
MOST_THREADS = 2


class RowConv2d(nn.Conv2d):
    """A convolution whose weights stay as they are; results in channels-last layout."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "RowConv2d":
        """The same convolution with the same weights."""
        own = frozen(cls, convolution, torch.preserve_format)
        own._filters = {}
        return own

    def forward(self, x: Tensor) -> Tensor:
        if not pays(x):
            return super().forward(x)
        image = x.permute(0, 2, 3, 1).contiguous()
        size = (image.shape[1], image.shape[2])
        if size not in self._filters:
            # Maps of one size at a time: those of a long file are not kept for the next.
            found = RowFilter(*size, self.padding)
            self._filters = {size: (found, found.kernels(self.weight.double()))}
        found, kernels = self._filters[size]
        return found.forward(image, kernels, self.bias).permute(0, 3, 1, 2)


def pays(x: Tensor) -> bool:
    """Whether filtering is possible and faster for maps in this place, precision and number of threads."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.get_num_threads() <= MOST_THREADS
        and not torch.is_autocast_enabled("cpu")
    )


def is_suited(module: nn.Module) -> bool:
    """Whether `module` is a 3 x 3 convolution of stride 1 with enough channels to gain by it."""
    return (
        is_plain(module)
        and module.kernel_size == (3, 3)
        and module.in_channels >= LEAST_INPUTS
        and module.out_channels >= LEAST_OUTPUTS
    )


def filter_rows(net: nn.Module) -> None:
    """Replace, in place, those convolutions of `net` that are faster this way on a CPU, in float32."""
    replace_layers(net, lambda module: type(module) is nn.Conv2d and is_suited(module), RowConv2d.of)
