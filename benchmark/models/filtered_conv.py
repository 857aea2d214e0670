"""3 x 3 convolutions of a frozen network on a processor, by Winograd's minimal filtering where that is faster.

Maps of three columns and more are filtered in tiles (`benchmark.kernels.tile_filter`), those of one column along their
rows (`benchmark.kernels.row_filter`); at two columns neither gains over a matrix product.
"""

from torch import Tensor, nn

from benchmark.kernels.lanes import LANES
from benchmark.kernels.row_filter import RowFilter
from benchmark.kernels.tile_filter import TileFilter
from benchmark.kernels.where import fits
from benchmark.models.frozen_conv import FrozenConv2d, frozen, is_plain, replace_layers

LEAST_CHANNELS = 64
# The transforms are serial, so that many threads do better without.
MOST_THREADS = 2


class FilteredConv2d(FrozenConv2d):
    """A convolution whose weights stay as they are; results in channels-last layout. For evaluation alone."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> "FilteredConv2d":
        """The same convolution with the same weights."""
        own = frozen(cls, convolution)
        own._kernels = {}
        return own

    def forward(self, x: Tensor) -> Tensor:
        columns = x.shape[3] + 2 * self.padding[1] - 2
        if columns == 2 or not pays(x):
            return super().forward(x)
        image = x.permute(0, 2, 3, 1).contiguous()
        size = (image.shape[1], image.shape[2])
        found = RowFilter(*size, self.padding) if columns == 1 else TileFilter(*size, self.padding)
        return found.forward(image, self._kernels_for(found), self.bias).permute(0, 3, 1, 2)

    def _kernels_for(self, found: RowFilter | TileFilter) -> Tensor:
        if found.tile not in self._kernels:
            self._kernels[found.tile] = found.kernels(self.weight.double())
        return self._kernels[found.tile]


def pays(x: Tensor) -> bool:
    """Whether filtering is possible and faster for maps in this place, precision and number of threads."""
    return fits(x, MOST_THREADS)


def is_suited(module: nn.Module) -> bool:
    """Whether `module` is a 3 x 3 convolution of stride 1 with enough channels, in whole vectors."""
    return (
        is_plain(module)
        and module.kernel_size == (3, 3)
        and min(module.in_channels, module.out_channels) >= LEAST_CHANNELS
        and module.in_channels % LANES == module.out_channels % LANES == 0
    )


def filter_convolutions(net: nn.Module) -> None:
    """Replace, in place, those convolutions of `net` that are faster this way on a CPU, in float32."""
    replace_layers(net, lambda module: type(module) is nn.Conv2d and is_suited(module), FilteredConv2d.of)
