"""What a user may set of each probe, and the names that a task's `probes` may hold. Field names are those of params.yaml."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, StrictBool

from benchmark.config.base import Schema

Scaling = Literal["standard", "kehling", "minmax", "none"]
BackEndName = Literal["none", "centre", "pca", "lda", "plda"]
Dtype = Literal["float32", "float64"]
Positive = Annotated[float, Field(gt=0)]


class ProbeSettings(Schema):
    """What all probes have.

    Attributes:
        scaling: Scaling of the features, with statistics of the training part: zero mean and unit variance; zero mean
            and largest absolute value 1 (`kehling`); [0, 1] (`minmax`).
        class_weight: Weigh clips by the inverse frequency of their class in the training part.
        max_frames_per_clip: Evenly spaced frames of a clip that the probe sees; all by default.
    """

    # Whether a probe learns from frames even where only files are scored; the others learn from clip vectors then.
    of_frames: ClassVar[bool] = False

    scaling: Scaling = "standard"
    class_weight: StrictBool = False
    max_frames_per_clip: int | None = Field(None, ge=1)

    @property
    def of_sequences(self) -> bool:
        """Whether a probe sees a clip as a sequence of frames and answers for the clip as a whole."""
        return False


class LogisticSettings(ProbeSettings):
    """Regularised multinomial (multilabel: one-vs-rest) logistic regression.

    Attributes:
        C: Inverse strengths of the L2 penalty (scikit-learn's C); the best on the validation part is taken.
        form: One softmax, or a sigmoid a class, normalised to sum to one.
        max_iter: Largest number of iterations at one C.
        tol: A C is finished when the objective is within this part of its minimum (by the Newton decrement).
        dtype: `float32`, or `float64` to compare coefficients closely.
    """

    C: list[Positive] = Field(default_factory=lambda: [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0], min_length=1)
    form: Literal["multinomial", "one_vs_rest"] = "multinomial"
    max_iter: int = Field(200, ge=1)
    tol: Positive = 1e-3
    dtype: Dtype = "float32"


class SvmSettings(ProbeSettings):
    """Linear support vector machines with squared hinge loss, one against the rest.

    Attributes:
        C: Inverse strengths of the L2 penalty (scikit-learn's C); the best on the validation part is taken.
        penalise_bias: Whether the bias is penalised like a weight, as liblinear does.
        max_iter: Largest number of iterations at one C.
        tol: A C is finished when the objective is within this part of its minimum (by the Newton decrement).
        dtype: `float32`, or `float64` to compare coefficients closely.
    """

    C: list[Positive] = Field(
        default_factory=lambda: [3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0], min_length=1
    )
    penalise_bias: StrictBool = True
    max_iter: int = Field(200, ge=1)
    tol: Positive = 1e-3
    dtype: Dtype = "float32"


class RidgeSettings(ProbeSettings):
    """Ridge regression; of classes one against the rest with targets of -1 and 1.

    Attributes:
        alpha: Strengths of the L2 penalty.
        select: Choose the strength on the validation part, or by generalised cross-validation on the training part.
    """

    alpha: list[Positive] = Field(default_factory=lambda: [1e-2, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5], min_length=1)
    select: Literal["validation", "gcv"] = "validation"


class KnnSettings(ProbeSettings):
    """Nearest neighbours; everything that is a list is chosen on the validation part.

    Attributes:
        k: Numbers of neighbours.
        metric: Which neighbours are near.
        temperature: Neighbours vote with the softmax of their similarity (cosine, or half the negative squared
            distance) over this; 0: all alike.
    """

    k: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [1, 3, 5, 10, 20, 50], min_length=1)
    metric: list[Literal["cosine", "euclidean"]] = Field(default_factory=lambda: ["cosine", "euclidean"], min_length=1)
    temperature: float = Field(0.0, ge=0)


class CentroidSettings(ProbeSettings):
    """The nearest mean of a class.

    Attributes:
        metric: Which means are near; of several the best on the validation part.
    """

    metric: list[Literal["cosine", "euclidean"]] = Field(default_factory=lambda: ["cosine", "euclidean"], min_length=1)


class FewshotSettings(ProbeSettings):
    """A few training clips a class, drawn many times; scores are means over the draws. Nothing is chosen.

    Attributes:
        shots: Clips a class; all of them where a training part has fewer.
        draws: Number of draws a fold.
        solver: Nearest centroid (cosine), or logistic regression.
        C: Inverse strength of the L2 penalty of the logistic regression.
    """

    shots: int = Field(5, ge=1)
    draws: int = Field(20, ge=1)
    solver: Literal["centroid", "logistic"] = "centroid"
    C: Positive = 1.0


class MlpSettings(ProbeSettings):
    """The classifier of Kehling & Cano: dense layers with ReLU, a softmax output, Adam, early stopping.

    Attributes:
        hidden: Units of each hidden layer; empty: a linear classifier.
        lr: Adam's learning rate.
        batch: Frames in a batch.
        max_epochs: Largest number of passes over the training part.
        patience: Epochs without a better validation accuracy after which a member stops.
        dropout: Probability of dropping a hidden unit in training.
    """

    of_frames: ClassVar[bool] = True

    hidden: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [128])
    lr: Positive = 1e-3
    batch: int = Field(64, ge=1)
    max_epochs: int = Field(200, ge=1)
    patience: int = Field(50, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    scaling: Scaling = "kehling"


class HeadSettings(ProbeSettings):
    """A head trained by Adam with cross entropy, as other benchmarks train theirs: the defaults are HEAR's grid.

    Attributes:
        layers: Hidden states of equal size that lie side by side in the features, mixed by learned softmax weights; null: as
            many as the embedding says that it gives (its `layers`).
        pooling: What is classified: the clip vector (frames where frames are scored), or all frames of a clip, weighted by
            attention.
        attended: Frames of a clip, evenly spaced, that attention chooses from at most.
        input_norm: LayerNorm of the features.
        hidden_layers: Numbers of hidden layers, each linear, normalised, dropped out, ReLU.
        hidden_dim: Units of a hidden layer.
        hidden_norm: BatchNorm1d in hidden layers.
        dropout: Probability of dropping a hidden unit in training.
        init: First weights: Glorot's, or PyTorch's own.
        lr: Learning rates of Adam.
        points: Points of the grid (hidden layers x init x lr) that are trained, drawn with points_seed; all if null.
        select: Choose the point in every fold on its own validation part, or once in the first fold for all (HEAR).
        batch: Rows in a batch.
        shuffle: Whether each epoch has its own order.
        epochs: Largest number of epochs.
        steps: Number of steps in place of epochs.
        check_every: Epochs between validations.
        patience: Validations without a better score after which a member stops; never if null.
        keep: Take the best validation's parameters, or the last without looking at the validation part.
        schedule: Of the learning rate; warmup_cosine goes by steps, with `warmup` of them; cosine_by_epoch by epochs.
        decay_to: Part of the learning rate at the end of a cosine.
    """

    layers: int | None = Field(1, ge=1)
    pooling: Literal["vector", "attention"] = "vector"
    attended: int = Field(128, ge=1)
    input_norm: Literal["none", "layer"] = "none"
    hidden_layers: list[Annotated[int, Field(ge=0, le=8)]] = Field(default_factory=lambda: [1, 2], min_length=1)
    hidden_dim: int = Field(1024, ge=1)
    hidden_norm: Literal["none", "batch"] = "batch"
    dropout: float = Field(0.1, ge=0, lt=1)
    init: list[Literal["default", "xavier_uniform", "xavier_normal"]] = Field(
        default_factory=lambda: ["xavier_uniform", "xavier_normal"], min_length=1
    )
    lr: list[Positive] = Field(default_factory=lambda: [3.2e-3, 1e-3, 3.2e-4, 1e-4], min_length=1)
    points: int | None = Field(None, ge=1)
    points_seed: int = 42
    select: Literal["fold", "first_fold"] = "fold"
    batch: int = Field(1024, ge=1)
    shuffle: StrictBool = True
    epochs: int = Field(500, ge=1)
    steps: int | None = Field(None, ge=1)
    check_every: int = Field(3, ge=1)
    patience: int | None = Field(20, ge=1)
    keep: Literal["best", "last"] = "best"
    schedule: Literal["constant", "cosine_by_epoch", "warmup_cosine"] = "constant"
    warmup: int = Field(0, ge=0)
    decay_to: float = Field(0.0, ge=0, le=1)
    scaling: Scaling = "none"

    @property
    def of_sequences(self) -> bool:
        return self.pooling == "attention"


class CosineSettings(ProbeSettings):
    """No classifier: clip vectors are compared (verification, retrieval).

    Attributes:
        back_end: What the training part teaches about vectors before they are compared; the best on the validation
            part is taken. `none`; `centre`: its mean is subtracted; `pca`: its directions have unit variance; `lda`: its
            variance within classes is one in every direction, and those that tell classes apart are kept; then the cosine
            of their angle. `plda`: what `lda` gives, compared by the likelihood ratio of two-covariance PLDA.
    """

    back_end: list[BackEndName] = Field(default_factory=lambda: ["none", "centre", "pca", "lda", "plda"], min_length=1)
    scaling: Scaling = "none"


# Name of a solver -> its settings, which params.yaml may change below `probe:`.
SOLVERS: dict[str, type[ProbeSettings]] = {
    "logistic": LogisticSettings,
    "svm": SvmSettings,
    "ridge": RidgeSettings,
    "knn": KnnSettings,
    "centroid": CentroidSettings,
    "fewshot": FewshotSettings,
    "mlp": MlpSettings,
    "head": HeadSettings,
    "cosine": CosineSettings,
}

_LINEAR: dict[str, Any] = {"hidden_layers": [0], "dropout": 0.0, "init": ["default"]}
_SEARCHED = _LINEAR | {"lr": [1e-2, 1e-3, 1e-4], "batch": 32, "epochs": 100, "check_every": 1, "patience": 10}

# Name of a protocol -> its solver and what it sets there; the rest is the solver's own default, whatever params.yaml says.
PROTOCOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "kehling": ("mlp", {}),
    "hear": ("head", {"points": 8, "select": "first_fold", "shuffle": False}),
    "hear-nested": ("head", {}),
    "hares": (
        "head",
        _LINEAR
        | {
            "lr": [2e-4],
            "batch": 64,
            "steps": 400_000,
            "keep": "last",
            "schedule": "warmup_cosine",
            "warmup": 5000,
        },
    ),
    "xares": (
        "head",
        _LINEAR
        | {
            "input_norm": "layer",
            "lr": [1e-3],
            "batch": 32,
            "epochs": 10,
            "check_every": 1,
            "patience": None,
            "schedule": "cosine_by_epoch",
            "decay_to": 0.1,
        },
    ),
    "superb-like": ("head", _SEARCHED | {"layers": None}),
    "attention": ("head", _SEARCHED | {"layers": None, "pooling": "attention", "scaling": "standard"}),
    "xares-knn": ("knn", {"k": [10], "metric": ["cosine"], "temperature": 0.07, "scaling": "none"}),
    **{f"{n}-shot": ("fewshot", {"shots": n}) for n in (1, 5, 10, 20)},
    **{f"{n}-shot-logistic": ("fewshot", {"shots": n, "solver": "logistic"}) for n in (1, 5, 10, 20)},
}


def solver_of(probe: str) -> str:
    """The solver of a probe, which is a solver's own name or that of a protocol."""
    return PROTOCOLS[probe][0] if probe in PROTOCOLS else probe


def solver_module(probe: str) -> str:
    """The module that holds a probe's solver."""
    return f"benchmark.probes.{solver_of(_known(probe))}"


def protocol_settings(probe: str) -> ProbeSettings:
    """The settings of a protocol."""
    solver, settings = PROTOCOLS[probe]
    return SOLVERS[solver](**settings)


def _known(probe: str) -> str:
    if probe not in SOLVERS and probe not in PROTOCOLS:
        raise ValueError(f"{probe!r} is not a probe; use one of {', '.join([*SOLVERS, *PROTOCOLS])}")
    return probe


ProbeName = Annotated[str, AfterValidator(_known)]
