"""How networks are trained (Kehling & Cano, CMMR 2021, section 4)."""

from dataclasses import dataclass, field
from typing import Literal

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainSettings:
    """Adam, early stopping on the accuracy of the validation part, the best epoch restored.

    Attributes:
        lr: Adam's learning rate.
        batch: inputs in a batch (patches: what the paper calls frames).
        max_epochs: largest number of passes over the training part.
        patience: epochs without a better validation accuracy after which a member stops.
        hidden: units of the dense layers between a pretrained network's read-out and the output.
        frames_per_clip: evenly spaced inputs of a training clip that are learnt from; all by default.
        norm_momentum: part of a batch in the running statistics of batch normalisation; the networks' own by default.
        precision: `bfloat16` computes the network in mixed precision.
        compile: compile the network's program first.
        stacked: train all members as one program; by default where there is a GPU. On a CPU one after the other is faster.
    """

    lr: float = 1e-3
    batch: int = 64
    max_epochs: int = 200
    patience: int = 50
    hidden: tuple[int, ...] = field(default=(128,))
    frames_per_clip: int | None = None
    norm_momentum: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    stacked: bool | None = None

    def stacks_on(self, device: str) -> bool:
        """Whether members are trained as one program on `device`."""
        return device.startswith("cuda") if self.stacked is None else self.stacked
