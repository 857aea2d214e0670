"""How the scores of a metric are shown: unit, decimals, and which way is better."""

import re
from dataclasses import dataclass

# Without what a name ends with: `min_dcf_0.01`, `segment_error_rate_100ms`.
_LOWER_IS_BETTER = {"eer", "min_dcf", "error_rate", "segment_error_rate", "log_loss", "mae", "mean_rank", "mse", "rmse"}
_PLAIN = {"d_prime", "hear", "log_loss", "mae", "mean_rank", "min_dcf", "mse", "pesq_wb", "r2", "rmse"}
_DECIBEL = ("sdr", "sir", "sar", "isr", "snr", "db")


@dataclass(frozen=True)
class Scale:
    """Show a score as `score * factor` with `decimals`, followed by `unit`."""

    factor: float
    unit: str
    decimals: int
    higher_is_better: bool

    @property
    def is_fraction(self) -> bool:
        """Whether scores are fractions, shown in per cent."""
        return self.unit == "%"

    def number(self, score: float) -> str:
        """The score alone, without unit."""
        text = f"{score * self.factor:.{self.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text

    def cell(self, mean: float | None, std: float | None) -> str:
        """`98.8 ± 1.4`; the mean alone where there is no spread, a dash where there is no mean."""
        if mean is None:
            return "–"
        return self.number(mean) if std is None else f"{self.number(mean)} ± {self.number(std)}"

    def is_better(self, score: float, other: float) -> bool:
        """Whether `score` is better than `other`."""
        return score > other if self.higher_is_better else score < other

    def best(self, scores: list[float]) -> float:
        """The best of `scores`."""
        return max(scores) if self.higher_is_better else min(scores)

    def normalised(self, score: float, chance: float | None) -> float | None:
        """0 at chance and 1 at the best possible score, within [0, 1]; None for scores that have no such ends."""
        if not self.is_fraction:
            return None
        floor, top = (chance, 1.0) if self.higher_is_better else (chance, 0.0)
        if floor is None:
            floor = 1.0 - top
        if floor == top:
            return 1.0 if score == top else 0.0
        return min(max((score - floor) / (top - floor), 0.0), 1.0)


def scale_of(metric: str) -> Scale:
    """The scale of `metric`: fractions in per cent, ratios of energy in dB, the rest as they are."""
    kind = re.sub(r"_\d[\w.]*$", "", metric)
    higher = kind not in _LOWER_IS_BETTER
    if set(metric.split("_")) & set(_DECIBEL):
        return Scale(1.0, "dB", 1, higher)
    if kind in _PLAIN:
        return Scale(1.0, "", 3, higher)
    return Scale(100.0, "%", 1, higher)


def metric_title(metric: str) -> str:
    """`macro_f1` as people write it, with its unit."""
    unit = scale_of(metric).unit
    name = metric.replace("_", " ")
    return f"{name} ({unit})" if unit else name
