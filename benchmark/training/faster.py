"""Everything that makes a network's training faster on a CPU; its modules, parameters and their names stay."""

from torch import nn

from benchmark.training.convolutions import filter_convolutions
from benchmark.training.convolutions_1d import shift_convolutions
from benchmark.training.first_layer import fuse_first
from benchmark.training.fused import fuse_norms


def make_faster(net: nn.Module, has_images: bool) -> None:
    """Let the layers of a network in float32 take their fast ways, those of images where these are channels-last."""
    if has_images:
        fuse_norms(net)
        fuse_first(net)
        filter_convolutions(net)
    shift_convolutions(net)
