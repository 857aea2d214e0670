"""What a user may set of each probe. Field names are those of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Scaling = Literal["standard", "kehling", "minmax", "none"]


@dataclass(frozen=True)
class LogisticSettings:
    """Regularised multinomial (multilabel: one-vs-rest) logistic regression.

    Attributes:
        C: Inverse strengths of the L2 penalty (scikit-learn's C); the best on the validation part is taken.
        max_iter: Largest number of iterations at one C.
        scaling: Scaling of the features, with statistics of the training part.
        tol: A C is finished when the objective is within this part of its minimum (by the Newton decrement).
        dtype: `float32`, or `float64` to compare coefficients closely.
        class_weight: Weigh clips by the inverse frequency of their class in the training part.
        max_frames_per_clip: Evenly spaced frames of a clip that the probe sees; all by default.
    """

    C: Sequence[float] = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)
    max_iter: int = 200
    scaling: Scaling = "standard"
    tol: float = 1e-3
    dtype: Literal["float32", "float64"] = "float32"
    class_weight: bool = False
    max_frames_per_clip: int | None = None


@dataclass(frozen=True)
class MlpSettings:
    """The classifier of Kehling & Cano: dense layers with ReLU, a softmax output, Adam, early stopping.

    Attributes:
        hidden: Units of each hidden layer; empty: a linear classifier.
        lr: Adam's learning rate.
        batch: Frames in a batch.
        max_epochs: Largest number of passes over the training part.
        patience: Epochs without a better validation accuracy after which a member stops.
        dropout: Probability of dropping a hidden unit in training.
        scaling: Scaling of the features, with statistics of the training part; `kehling` is zero mean, largest
            absolute value 1.
        class_weight: Weigh frames by the inverse frequency of their class in the training part.
        max_frames_per_clip: Evenly spaced frames of a clip that the probe sees; all by default.
    """

    hidden: Sequence[int] = field(default_factory=lambda: (128,))
    lr: float = 1e-3
    batch: int = 64
    max_epochs: int = 200
    patience: int = 50
    dropout: float = 0.0
    scaling: Scaling = "kehling"
    class_weight: bool = False
    max_frames_per_clip: int | None = None
