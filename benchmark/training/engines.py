"""Two ways to take the same steps: one network by itself, or a stack of networks as one program.

Measured on two cores (AVX-512), batches of 64: a stack by `vmap` takes as long as its networks one after the other
(SwishNet, DNN) or longer (VGG-like 1.9 times, INA 1.4 times), as their convolutions keep a core busy by themselves and
grouped ones are less well served. Channels-last convolutions save a third (VGG-like, INA). So on a CPU networks are
trained one by one, and cores are filled with processes; the stack is for a GPU, where small networks leave most of it
idle.
"""

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmark.training.members import Member, row_loss
from benchmark.training.randomness import derived_seed, seed_dropouts
from benchmark.training.settings import TrainSettings

_EVAL_ROWS = 256


class Engine(Protocol):
    """Networks in training."""

    def step(self, rows: Tensor, counts: Sequence[int]) -> None:
        """Take a step with rows (M, B) of each member's inputs; `counts` are the steps that each took before."""

    def logits(self, number: int, rows: Tensor) -> Tensor:
        """Logits (m, C) of some rows under a member as it is, on the CPU."""

    def state(self, number: int) -> dict[str, Tensor]:
        """A member's state dict as it is."""

    def moments(self, number: int) -> dict[str, Any]:
        """What the optimiser knows of a member."""

    def keep(self, numbers: Sequence[int]) -> None:
        """Go on with some members."""


def dropout_key(seed: int, count: int) -> int:
    """The number that dropout masks of a member depend on at a step."""
    return derived_seed(seed, 2, count) >> 1


class _Evaluation:
    """Logits in pieces, without gradients."""

    device: torch.device
    settings: TrainSettings

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")

    def _pieces(self, net: Any, inputs: Tensor, rows: Tensor) -> Tensor:
        with torch.no_grad(), self._autocast():
            return torch.cat([net(inputs[part].to(self.device)).float().cpu() for part in rows.split(_EVAL_ROWS)])


class Alone(_Evaluation):
    """One member.

    Args:
        member: whose network is trained in place.
        settings: of the training.
        device: where.
        moments: what the optimiser knew when the training was interrupted.
    """

    def __init__(self, member: Member, settings: TrainSettings, device: str, moments: dict[str, Any] | None = None):
        self.member, self.settings, self.device = member, settings, torch.device(device)
        self.net = member.net.to(self.device)
        has_images = any(parameter.ndim == 4 for parameter in self.net.parameters())
        if has_images:
            self.net = self.net.to(memory_format=torch.channels_last)
        if self.device.type == "cpu" and settings.precision == "float32" and not settings.compile:
            # Its compiled kernels take a second to load, which those who train nothing need not wait.
            from benchmark.training.faster import make_faster

            make_faster(self.net, has_images)
        keys = seed_dropouts(self.net)
        self.keys = [dict(self.net.named_buffers())[name] for name in keys]
        self.program = torch.compile(self.net) if settings.compile else self.net
        self.optimiser = torch.optim.Adam(_trained(self.net).values(), settings.lr, fused=True)
        if moments is not None:
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})

    def step(self, rows: Tensor, counts: Sequence[int]) -> None:
        self.net.train()
        for key in self.keys:
            key.fill_(dropout_key(self.member.seed, counts[0]))
        chosen, weights = rows[0], self.member.weights
        devices = [self.device] if self.device.type == "cuda" else []
        # Networks of the zoo also draw from the common generator.
        with torch.random.fork_rng(devices), self._autocast():
            torch.manual_seed(dropout_key(self.member.seed, counts[0]))
            logits = self.program(self.member.inputs[chosen].to(self.device))
        loss = row_loss(
            logits,
            self.member.labels[chosen].to(self.device),
            None if weights is None else weights[chosen].to(self.device),
        )
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def logits(self, number: int, rows: Tensor) -> Tensor:
        return self._pieces(self.net.eval(), self.member.inputs, rows)

    def state(self, number: int) -> dict[str, Tensor]:
        return self.net.state_dict()

    def moments(self, number: int) -> dict[str, Any]:
        return self.optimiser.state_dict()["state"]

    def keep(self, numbers: Sequence[int]) -> None:
        """There is nobody else."""


class Stack(_Evaluation):
    """Members of one architecture whose batches have one size, as one program.

    Args:
        members: M of them.
        settings, device: as of `Alone`.
        moments: of each member, or None.
    """

    def __init__(
        self,
        members: Sequence[Member],
        settings: TrainSettings,
        device: str,
        moments: Sequence[dict[str, Any]] | None = None,
    ):
        self.members, self.settings, self.device = list(members), settings, torch.device(device)
        for member in members:
            self.keys = seed_dropouts(member.net)
        self.template = copy.deepcopy(members[0].net).to(self.device)
        parameters, buffers = stack_module_state([member.net for member in members])
        names = set(_trained(self.template))
        self.trained = {
            key: value.detach().to(self.device).requires_grad_(True)
            for key, value in parameters.items()
            if key in names
        }
        fixed = {key: value.detach() for key, value in parameters.items() if key not in names}
        self.rest = {key: value.to(self.device) for key, value in {**fixed, **buffers}.items()}
        self._bind(moments)

    def _bind(self, moments: Sequence[dict[str, Any]] | None) -> None:
        """A new optimiser over the stack."""
        self.optimiser = torch.optim.Adam(self.trained.values(), self.settings.lr, fused=True)
        if moments is not None:
            state = {
                number: {
                    kind: moments[0][number][kind]
                    if kind == "step"
                    else torch.stack([m[number][kind] for m in moments])
                    for kind in moments[0][number]
                }
                for number in range(len(self.trained))
            }
            self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        # One input for all is an axis less to stack.
        self.shared = all(member.inputs is self.members[0].inputs for member in self.members)
        run = vmap(self._loss, in_dims=(0, 0, 0, 0, 0 if self._weighted() else None))
        self.program = torch.compile(run) if self.settings.compile else run

    def _weighted(self) -> bool:
        return self.members[0].weights is not None

    def _loss(
        self, trained: dict[str, Tensor], rest: dict[str, Tensor], x: Tensor, y: Tensor, weights: Tensor | None
    ) -> Tensor:
        return row_loss(functional_call(self.template, (trained, rest), (x,)), y, weights)

    def step(self, rows: Tensor, counts: Sequence[int]) -> None:
        self.template.train()
        keys = [dropout_key(member.seed, count) for member, count in zip(self.members, counts, strict=True)]
        for name in self.keys:
            self.rest[name] = torch.tensor(keys, dtype=torch.int64, device=self.device)
        if self.shared:
            x = self.members[0].inputs[rows]
        else:
            x = torch.stack([member.inputs[chosen] for member, chosen in zip(self.members, rows, strict=True)])
        y = torch.stack([member.labels[chosen] for member, chosen in zip(self.members, rows, strict=True)])
        weights = None
        if self._weighted():
            both = zip(self.members, rows, strict=True)
            weights = torch.stack([member.weights[chosen] for member, chosen in both]).to(self.device)
        with self._autocast():
            losses = self.program(self.trained, self.rest, x.to(self.device), y.to(self.device), weights)
        self.optimiser.zero_grad()
        losses.sum().backward()
        self.optimiser.step()

    def logits(self, number: int, rows: Tensor) -> Tensor:
        state = {key: value[number] for key, value in {**self.trained, **self.rest}.items()}
        self.template.eval()
        return self._pieces(lambda x: functional_call(self.template, state, (x,)), self.members[number].inputs, rows)

    def state(self, number: int) -> dict[str, Tensor]:
        stacked = {**self.trained, **self.rest}
        return {key: stacked[key][number] for key in self.template.state_dict()}

    def moments(self, number: int) -> dict[str, Any]:
        state = self.optimiser.state_dict()["state"]
        return {
            place: {kind: value if kind == "step" else value[number] for kind, value in kinds.items()}
            for place, kinds in state.items()
        }

    def keep(self, numbers: Sequence[int]) -> None:
        moments = [self.moments(number) for number in numbers]
        chosen = torch.tensor(numbers, dtype=torch.int64, device=self.device)
        self.members = [self.members[number] for number in numbers]
        self.trained = {key: value.detach()[chosen].requires_grad_(True) for key, value in self.trained.items()}
        self.rest = {key: value[chosen] for key, value in self.rest.items()}
        self._bind(moments)


def _trained(net: nn.Module) -> dict[str, nn.Parameter]:
    return {key: parameter for key, parameter in net.named_parameters() if parameter.requires_grad}
