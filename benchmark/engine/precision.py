"""Which library multiplies float32 matrices on the processor.

PyTorch's default on x86 is MKL, which on AMD's processors reaches half the speed of oneDNN. The precision "medium" hands
products to oneDNN, and allows it bfloat16: on processors that have such units it takes them, on others it stays in
float32. A self-check tells which; the choice depends on the machine alone, never on a timing, so that two runs on one
machine give the same bytes.
"""

import platform
from pathlib import Path

import torch

# Relative to the greatest value: float32 products of this size err by less than 1e-6, bfloat16 by more than 1e-3.
_TOLERANCE = 1e-5
_SIZE = 256


def use_fast_float32_matmul() -> bool:
    """Hand float32 products to oneDNN where that is faster and stays float32; call it before work begins.

    Returns:
        Whether it did. Never with a GPU, whose products the same switch would make coarser, nor on Intel's processors,
        where MKL is as fast.
    """
    if torch.cuda.is_available() or _vendor() == "GenuineIntel":
        return False
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if matmul_error() < _TOLERANCE:
        return True
    torch.set_float32_matmul_precision(before)
    return False


def matmul_error() -> float:
    """Greatest error of float32 products as PyTorch now computes them, relative to their greatest value."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(_SIZE, _SIZE, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    products = (a @ b, torch.nn.functional.linear(a, b.T.contiguous()), torch.bmm(a[None], b[None])[0])
    return max(float((product - exact).abs().max() / exact.abs().max()) for product in products)


def _vendor() -> str:
    """The processor's maker as it names itself; empty where the system does not tell."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    return "GenuineIntel" if "Intel" in platform.processor() else ""
