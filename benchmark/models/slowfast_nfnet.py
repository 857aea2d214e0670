"""Slowfast NFNet-F0: two normaliser-free residual networks, the slow one fed by the fast one.

`HaresSlowfast` is the network of HARES (Wang et al. 2021, arXiv 2111.12124; repository
google-deepmind/slowfast_nfnets), which has no published weights; `MuleSlowfast` is MULE's (McCallum et al., ISMIR
2022, arXiv 2210.03799), which has, and whose keys are those of the published conversion to PyTorch. They differ in
axes (HARES: time, frequency; MULE: frequency, time), stems, fusion, GELU (tanh form; erf form), projections,
read-out, and the order of the two paths in it.

Conventions: maps are (B, C, H, W) with H the first of the two axes; all padding is TensorFlow's "same".
"""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import kernel
from benchmark.models.nfnet import ALPHA, BlockPlan, NFBlock, Size, Stage, Stem, WSConv2d, gelu, same_pad
from benchmark.models.strict import load_strict

# Blocks of each stage.
_DEPTHS = (1, 2, 6, 3)
_STOCHASTIC_DEPTH = 0.1
# Names in the authors' Haiku module; the fast path is built first.
_HAIKU_PATHS = {"NFNet": "fast", "NFNet_1": "slow"}
_HAIKU_LAYERS = {
    "conv0": "convs.0",
    "conv1": "convs.1",
    "conv1b": "convs.2",
    "conv2": "convs.3",
    "conv_shortcut": "skip_conv",
    "squeeze_excite": "se",
    "linear": "fc1",
    "linear_1": "fc2",
}


class _Slowfast(Freezable):
    """Both paths and the loop over stages; the subclasses build the parts."""

    slow_stem: nn.Module
    fast_stem: nn.Module
    slow_stages: nn.ModuleList
    fast_stages: nn.ModuleList

    def intermediate(self) -> Sequence[nn.Module]:
        """The stems and the first two stages of both paths."""
        return self.slow_stem, self.fast_stem, *self.slow_stages[:2], *self.fast_stages[:2]

    def stem(self, x: Tensor) -> Tensor:
        """The inputs themselves: the fusions between the fixed parts learn, so that nothing stays as it was."""
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x)

    def fold(self) -> None:
        """Standardise all kernels once, for inference; `train` undoes it."""
        for module in self.modules():
            if isinstance(module, WSConv2d):
                module.fold()


class HaresSlowfast(_Slowfast):
    """Slowfast NFNet-F0 of HARES; inputs are spectrograms (B, T, F).

    Args:
        final_conv: end both paths with a 1 x 1 convolution to twice the channels, as the authors' code does (3,456
            numbers, 62,970,654 parameters); without it 1,728 numbers, as the paper says (58,171,422 parameters).
    """

    def __init__(self, final_conv: bool = True):
        super().__init__()
        slow, fast = (256, 512, 1536, 1536), (32, 64, 192, 192)
        strides = ((2, 2), (1, 1), (1, 1), (2, 2))
        self.slow_stem = Stem((16, 32, 64, 128), ((1, 3), (1, 3), (1, 3), (3, 3)), strides, "tanh")
        self.fast_stem = Stem((2, 4, 8, 16), ((3, 3), (1, 3), (1, 3), (3, 3)), strides, "tanh")
        fused = (64, 256, 512, 1024)
        self.fusions = nn.ModuleList(
            WSConv2d(i, o, (7, 1), (4, 1)) for i, o in zip((16, *fast[:-1]), fused, strict=True)
        )
        slow_inputs = [i + o for i, o in zip((128, *slow[:-1]), fused, strict=True)]
        self.slow_stages = self._stages(slow_inputs, (128, *slow[:-1]), slow, ((1, 1), (1, 1), (3, 1), (3, 1)), 128)
        self.fast_stages = self._stages((16, *fast[:-1]), (16, *fast[:-1]), fast, ((3, 1),) * 4, 16)
        self.slow_final = WSConv2d(1536, 3072) if final_conv else None
        self.fast_final = WSConv2d(192, 384) if final_conv else None
        self.dim = 3456 if final_conv else 1728

    @staticmethod
    def _stages(
        inputs: Sequence[int], before: Sequence[int], outputs: Sequence[int], kernels: Sequence[Size], group_size: int
    ) -> nn.ModuleList:
        """`before`: channels without those that the fusion adds; the authors' code decides on projections by them."""
        betas, stages, index = _hares_betas(), [], 0
        for stage, depth in enumerate(_DEPTHS):
            plan = BlockPlan((kernels[stage], (1, 3)), group_size, "tanh")
            blocks = []
            for block in range(depth):
                first = block == 0
                stride = (1, 2) if first and stage > 0 else (1, 1)
                project = first and (stride != (1, 1) or before[stage] != outputs[stage])
                channels = inputs[stage] if first else outputs[stage]
                drop = _STOCHASTIC_DEPTH * index / sum(_DEPTHS)
                blocks.append(NFBlock(channels, outputs[stage], plan, stride, betas[index], project, drop))
                index += 1
            stages.append(Stage(blocks))
        return nn.ModuleList(stages)

    def paths(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrograms (B, T, F) to the slow and the fast maps, (B, C, ceil(T / 16) or ceil(T / 4), F / 32)."""
        fast = x.unsqueeze(1)
        slow = functional.max_pool2d(same_pad(fast, (4, 1), (4, 1), -torch.inf), (4, 1))
        slow, fast = self.slow_stem(slow), self.fast_stem(fast)
        for fusion, slow_stage, fast_stage in zip(self.fusions, self.slow_stages, self.fast_stages, strict=True):
            slow = torch.cat([slow, functional.gelu(fusion(fast), approximate="tanh")], dim=1)
            slow, fast = slow_stage(slow), fast_stage(fast)
        if self.slow_final is not None:
            slow, fast = self.slow_final(slow), self.fast_final(fast)
        return functional.gelu(slow, approximate="tanh"), functional.gelu(fast, approximate="tanh")

    def rest(self, x: Tensor) -> Tensor:
        """Spectrograms (B, T, F) to the means of the fast, then the slow maps, (B, dim)."""
        slow, fast = self.paths(x)
        return torch.cat([fast.mean(dim=(2, 3)), slow.mean(dim=(2, 3))], dim=1)


class _Fusion(nn.Module):
    def __init__(self, inputs: int, narrow: int, outputs: int):
        super().__init__()
        self.conv1 = WSConv2d(inputs, narrow, (1, 7), (1, 4))
        self.conv2 = WSConv2d(narrow, outputs)

    def forward(self, slow: Tensor, fast: Tensor) -> Tensor:
        return torch.cat([slow, self.conv2(self.conv1(fast))], dim=1)


class MuleSlowfast(_Slowfast):
    """SF-NFNet-F0 of MULE; inputs are standardised log-mel slices (B, 96, 300), 62,345,742 parameters."""

    dim = 1728

    def __init__(self) -> None:
        super().__init__()
        slow, fast = (256, 512, 1536, 1536), (32, 64, 192, 192)
        upright, square = ((3, 1), (3, 1), (3, 1), (3, 3)), ((3, 3),) * 4
        self.slow_stem = Stem((16, 32, 64, 128), upright, ((2, 8), (1, 1), (1, 1), (2, 2)), "none")
        self.fast_stem = Stem((2, 4, 8, 16), square, ((2, 2), (1, 1), (1, 1), (2, 2)), "none")
        narrow, fused = (32, 32, 64, 192), (128, 256, 512, 3072)
        self.fusions = nn.ModuleList(_Fusion(*sizes) for sizes in zip((16, *fast[:-1]), narrow, fused, strict=True))
        slow_inputs = [i + o for i, o in zip((128, *slow[:-1]), fused, strict=True)]
        self.slow_stages = self._stages(slow_inputs, slow, 128)
        self.fast_stages = self._stages((16, *fast[:-1]), fast, 16)

    @staticmethod
    def _stages(inputs: Sequence[int], outputs: Sequence[int], group_size: int) -> nn.ModuleList:
        plan = BlockPlan(((1, 3), (3, 1)), group_size, "none")
        stages, index = [], 0
        for stage, betas in enumerate(_mule_betas()):
            blocks = []
            for block, beta in enumerate(betas):
                first = block == 0
                stride = (2, 1) if first and stage > 0 else (1, 1)
                channels = inputs[stage] if first else outputs[stage]
                drop = _STOCHASTIC_DEPTH * index / sum(_DEPTHS)
                blocks.append(NFBlock(channels, outputs[stage], plan, stride, beta, first, drop))
                index += 1
            stages.append(Stage(blocks))
        return nn.ModuleList(stages)

    def rest(self, x: Tensor) -> Tensor:
        """Slices (B, 96, 300) to (B, 1728): GELU of the means of the slow, then the fast maps."""
        slow, fast = self.slow_stem(x.unsqueeze(1)), self.fast_stem(x.unsqueeze(1))
        for fusion, slow_stage, fast_stage in zip(self.fusions, self.slow_stages, self.fast_stages, strict=True):
            slow, fast = slow_stage(fusion(slow, fast)), fast_stage(fast)
        return gelu(torch.cat([slow.mean(dim=(2, 3)), fast.mean(dim=(2, 3))], dim=1), "none")


def load_mule(net: MuleSlowfast, state: dict[str, Tensor]) -> None:
    """Fill `net` from the published conversion: keys with the prefix `backbone.`; the front end's buffers are left out.

    Raises:
        ValueError: names missing and unexpected keys, or the first wrong shape.
    """
    load_strict(net, {k.removeprefix("backbone."): v for k, v in state.items() if not k.startswith("frontend.")})


def load_haiku(net: HaresSlowfast, params: Mapping[str, np.ndarray]) -> None:
    """Fill `net` from the parameters of the authors' Haiku module, keyed `<module>/<parameter>`.

    Raises:
        ValueError: names missing and unexpected parameters (under our keys where we have one), or the first wrong
        shape.
    """
    load_strict(net, {_haiku_key(name): _haiku_array(name, np.asarray(array)) for name, array in params.items()})


def _haiku_key(name: str) -> str:
    """Our key of a parameter such as `slow_fast_nf_net/~/NFNet_1/~/nf_block_3/~/conv1b/w`; unknown ones are kept."""
    *modules, parameter = [part for part in name.split("/") if part != "~"]
    parameter = {"w": "weight", "b": "bias"}.get(parameter, parameter)
    fusion = re.fullmatch(r"fuse_fast2_slow(?:_(\d))?", modules[1]) if len(modules) == 3 else None
    if fusion:
        return f"fusions.{fusion[1] or 0}.{parameter}"
    if len(modules) < 3 or modules[1] not in _HAIKU_PATHS:
        return name
    path, part = _HAIKU_PATHS[modules[1]], modules[2]
    if part == "final_conv":
        return f"{path}_final.{parameter}"
    if part.startswith("stem_conv"):
        return f"{path}_stem.convs.{part.removeprefix('stem_conv')}.{parameter}"
    index = int(part.removeprefix("nf_block").removeprefix("_") or 0)
    stage = next(i for i in range(len(_DEPTHS)) if index < sum(_DEPTHS[: i + 1]))
    block = f"{path}_stages.{stage}.blocks.{index - sum(_DEPTHS[:stage])}"
    return ".".join([block, *(_HAIKU_LAYERS.get(layer, layer) for layer in modules[3:]), parameter])


def _haiku_array(name: str, array: np.ndarray) -> Tensor:
    if name.endswith("/skip_gain"):
        return torch.from_numpy(array.reshape(1))
    return kernel(array) if array.ndim > 1 else torch.from_numpy(array)


def _hares_betas() -> list[float]:
    """1 / expected standard deviation of each block, carried on, but reset behind the first block of a stage."""
    betas, expected = [], 1.0
    for depth in _DEPTHS:
        for block in range(depth):
            betas.append(1.0 / expected)
            expected = math.sqrt((1.0 if block == 0 else expected**2) + ALPHA**2)
    return betas


def _mule_betas() -> list[list[float]]:
    """The same for MULE: each stage starts from one (the first) or sqrt(1 + 0.04), and grows from there."""
    stages = []
    for stage, depth in enumerate(_DEPTHS):
        expected, betas = 1.0 if stage == 0 else math.sqrt(1.0 + ALPHA**2), []
        for _ in range(depth):
            betas.append(1.0 / expected)
            expected = math.sqrt(expected**2 + ALPHA**2)
        stages.append(betas)
    return stages
