"""Linear support vector machines with squared hinge loss, one against the rest: all folds and penalties at once.

The objective at one C is liblinear's: `C * sum_i max(0, 1 - y_i z_i)^2 + |w|^2 / 2`, where the bias counts as a weight
unless settings say otherwise. Answers are the softmax of the decisions (multilabel: their sigmoids): they order as the
decisions do and are no calibrated probabilities.
"""

import torch

from benchmark.config.schema_probe import SvmSettings
from benchmark.probes.logistic import LinearFit, fit_logistic
from benchmark.probes.registry import Question


def solve(features: torch.Tensor, question: Question, settings: SvmSettings) -> LinearFit:
    """Fit a question of classes; the features are overwritten."""
    if question.kind == "regression":
        raise ValueError("support vector machines answer no question of numbers here; use ridge")
    return fit_logistic(
        features, question.labels, question.splits, question.n_classes, settings, question.score,
        question.kind == "multilabel", overwrite=True,
    )  # fmt: skip
