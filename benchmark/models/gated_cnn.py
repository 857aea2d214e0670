"""The gated CRNN for weakly labelled audio (Xu, Kong, Wang & Plumbley 2018, arXiv 1710.00343).

Repository yongxuUSTC/dcase2017_task4_cvssp, `main_crnn_at.py` (tagging: time is pooled to an eighth) and
`main_crnn_sed.py` (detection: it is not): blocks of a convolution whose first half is multiplied by the sigmoid of
the second, then a linear bidirectional GRU multiplied by a sigmoid one. Their eighth block's output is never used and
so is not part of the network. The recurrence is that of Keras 2.0 (the reset gate in front of the recurrent kernel,
hard sigmoid gates), which PyTorch's GRU cannot express.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.freezing import Freezable
from benchmark.models.keras_layout import Layers, assign, check_layers, copy, kernel

_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}


class GatedBlock(nn.Module):
    """(B, C, T, F) to (B, 64, T, F): linear half times sigmoid half of 128 maps."""

    def __init__(self, inputs: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 128, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(128, **_BATCH_NORM)

    def forward(self, x: Tensor) -> Tensor:
        linear, gate = self.norm(self.conv(x)).chunk(2, dim=1)
        return linear * torch.sigmoid(gate)


class Gru(nn.Module):
    """One direction of Keras 2.0's GRU with a chosen activation of the candidate state.

    Args:
        inputs: features in.
        units: state size.
        activation: `linear` or `sigmoid`.
    """

    def __init__(self, inputs: int, units: int, activation: Literal["linear", "sigmoid"]):
        super().__init__()
        self.units, self.activation = units, activation
        # Rows: update gate, reset gate, candidate.
        self.kernel = nn.Linear(inputs, 3 * units)
        self.recurrent = nn.Linear(units, 3 * units, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, inputs) to all states, (B, T, units)."""
        driven = self.kernel(x)
        gates_kernel, candidate_kernel = self.recurrent.weight.split((2 * self.units, self.units))
        state = x.new_zeros(x.shape[0], self.units)
        states = []
        for t in range(x.shape[1]):
            gates = driven[:, t, : 2 * self.units] + functional.linear(state, gates_kernel)
            update, reset = (0.2 * gates + 0.5).clamp(0.0, 1.0).chunk(2, dim=1)
            candidate = driven[:, t, 2 * self.units :] + functional.linear(reset * state, candidate_kernel)
            if self.activation == "sigmoid":
                candidate = torch.sigmoid(candidate)
            state = update * state + (1.0 - update) * candidate
            states.append(state)
        return torch.stack(states, dim=1)


class BiGru(nn.Module):
    """Two `Gru`, one on the reversed sequence; (B, T, inputs) to (B, T, 2 * units)."""

    def __init__(self, inputs: int, units: int, activation: Literal["linear", "sigmoid"]):
        super().__init__()
        self.ahead = Gru(inputs, units, activation)
        self.back = Gru(inputs, units, activation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.ahead(x), self.back(x.flip(1)).flip(1)], dim=-1)


class GatedCnn(Freezable):
    """Gated CRNN; inputs are log-mel (B, T, 64), T a multiple of 8 for tagging (240 in the paper).

    Args:
        model: `tagging` or `detection`.
        classes: outputs.
    """

    dim = 256

    def __init__(self, model: Literal["tagging", "detection"] = "tagging", classes: int = 17):
        super().__init__()
        self.pool = 2 if model == "tagging" else 1
        self.blocks = nn.ModuleList(GatedBlock(1 if index == 0 else 64) for index in range(7))
        self.conv = nn.Conv2d(64, 256, 3, padding=1)
        self.linear = BiGru(256, 128, "linear")
        self.gate = BiGru(256, 128, "sigmoid")
        self.output = nn.Linear(self.dim, classes)
        self.attention = nn.Linear(classes, classes) if model == "detection" else None

    def intermediate(self) -> Sequence[nn.Module]:
        """The convolutions."""
        return self.blocks, self.conv

    def stem(self, x: Tensor) -> Tensor:
        """Log-mel (B, T, 64) to the maps of the last convolution, (B, T / 8, 256); (B, T, 256) for detection."""
        x = x.unsqueeze(1)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index % 2 == 1:
                x = functional.max_pool2d(x, (self.pool, 2))
        x = functional.max_pool2d(x, (1, 2))
        x = functional.max_pool2d(functional.relu(self.conv(x)), (1, 4))
        return x.squeeze(-1).transpose(1, 2)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to the gated recurrent states, of the same shape."""
        return self.linear(x) * self.gate(x)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mel (B, T, 64) to probabilities (B, classes)."""
        steps = torch.sigmoid(self.output(self.embed(x)))
        if self.attention is None:
            return steps.mean(dim=1)
        weights = torch.softmax(self.attention(steps), dim=-1)
        return (steps * weights).sum(dim=1) / weights.clamp(1e-7, 1.0).sum(dim=1)


def load_keras(net: GatedCnn, layers: Layers) -> None:
    """Fill `net` from the layers of a model that the authors' scripts saved; ValueError names what does not fit."""
    blocks = [f"conv2d_{i}" for i in range(1, 8)], [f"batch_normalization_{i}" for i in range(1, 8)]
    names = [*blocks[0], *blocks[1], "conv2d_9", "bidirectional_1", "bidirectional_2", "localization_layer"]
    if net.attention is not None:
        names.append("time_distributed_1")
    check_layers(layers, names)
    for block, conv, norm in zip(net.blocks, *blocks, strict=True):
        assign(block.conv, layers[conv], conv)
        assign(block.norm, layers[norm], norm)
    assign(net.conv, layers["conv2d_9"], "conv2d_9")
    for module, name in ((net.linear, "bidirectional_1"), (net.gate, "bidirectional_2")):
        _assign_bidirectional(module, layers[name], name)
    assign(net.output, layers["localization_layer"], "localization_layer")
    if net.attention is not None:
        assign(net.attention, layers["time_distributed_1"], "time_distributed_1")


def _assign_bidirectional(module: BiGru, arrays: Sequence, name: str) -> None:
    directions = (module.ahead, module.back)
    targets = [t for gru in directions for t in (gru.kernel.weight, gru.recurrent.weight, gru.kernel.bias)]
    copy(targets, [kernel(array) if array.ndim == 2 else torch.from_numpy(array) for array in arrays], name)
