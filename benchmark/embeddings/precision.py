"""In which numbers a frozen network runs."""

import torch
from torch import Tensor, nn

DTYPES = ("float32", "bfloat16", "float16")


class InPrecision(nn.Module):
    """Runs a convolutional network in `dtype` and channels-last layout, between a front end and an output in float32.

    Args:
        net: (B, ...) to (B, dim); it is converted in place.
        dtype: `float32`; `bfloat16`, which keeps 8 bits of mantissa: an error of about a percent at the output; or `float16`,
            which keeps 11, up to 65,504, and is for GPUs.
    """

    def __init__(self, net: nn.Module, dtype: str = "float32"):
        super().__init__()
        self.dtype = getattr(torch, dtype)
        self.net = net.to(self.dtype).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        return self.net(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x).float()
