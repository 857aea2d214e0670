"""In which numbers a frozen network runs."""

from typing import Any

import torch
from torch import Tensor, nn

from benchmark.kernels.rounding import round_to_bfloat16

DTYPES = ("float32", "bfloat16", "float16")

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def is_imitated(dtype: str, device: str | torch.device) -> bool:
    """Whether bfloat16 stands for float32 that is rounded to it: on x86 without units for it, which would be far slower."""
    if dtype != "bfloat16" or torch.device(device).type != "cpu":
        return False
    # Younger than the oldest PyTorch that will do; there bfloat16 is what it is.
    found = getattr(torch.cpu, "get_capabilities", dict)()
    return found.get("architecture") == "x86_64" and not (found["avx512_bf16"] or found["amx_bf16"])


def kept_dtype(dtype: str, device: str | torch.device) -> torch.dtype:
    """In which tensors are kept: float32 where `dtype` is imitated, else itself."""
    return torch.float32 if is_imitated(dtype, device) else getattr(torch, dtype)


def convert(net: nn.Module, dtype: str, device: str | torch.device) -> nn.Module:
    """Convert `net`, in place, to `dtype` for a device; its inputs are to be of the dtype of its weights.

    Where bfloat16 is imitated, weights and results of convolutions and dense layers are rounded to it and stay in
    float32, as do the sums of products on processors that have such units.
    """
    if not is_imitated(dtype, device):
        return net.to(getattr(torch, dtype))
    for layer in net.modules():
        if isinstance(layer, _LAYERS):
            for weight in layer.parameters():
                round_to_bfloat16(weight)
            layer.register_forward_hook(_rounded)
    return net


def _rounded(_layer: nn.Module, _inputs: Any, outputs: Tensor) -> Tensor:
    return round_to_bfloat16(outputs)


class InPrecision(nn.Module):
    """Runs a convolutional network in `dtype` and channels-last layout, between a front end and an output in float32.

    Args:
        net: (B, ...) to (B, dim); it is converted in place.
        dtype: `float32`; `bfloat16`, which keeps 8 bits of mantissa: an error of about a percent at the output; or `float16`,
            which keeps 11, up to 65,504, and is for GPUs.
        device: where it is to run.
    """

    def __init__(self, net: nn.Module, dtype: str = "float32", device: str | torch.device = "cpu"):
        super().__init__()
        self.dtype = getattr(torch, dtype)
        self.kept = kept_dtype(dtype, device)
        self.net = convert(net, dtype, device).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype).to(self.kept)
        return self.net(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x).float()
