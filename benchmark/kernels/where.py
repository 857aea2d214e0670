"""Where compiled kernels can run."""

import torch
from torch import Tensor


def fits(x: Tensor, threads: int) -> bool:
    """Whether kernels can take the place of PyTorch's own: on a processor, in float32, with at most so many threads."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and torch.get_num_threads() <= threads
        and not torch.is_autocast_enabled("cpu")
    )


def has_wide_registers() -> bool:
    """Whether the processor has 32 registers of 16 float32, as AVX-512 gives it."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512"
