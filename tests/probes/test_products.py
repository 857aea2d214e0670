"""What the solver of linear classifiers stands on: products with blocks of rows, the preconditioner, and when it stops."""

import numpy as np
import pytest
import torch

from benchmark.config.schema_probe import LogisticSettings
from benchmark.probes.batch import Batch
from benchmark.probes.design import make_design
from benchmark.probes.gram import Gram, Preconditioner
from benchmark.probes.layout import Layout
from benchmark.probes.logistic import fit_logistic


def _table(sizes, dim=6):
    """Features in five parts of some sizes; fold k trains on parts k, k + 1 and k + 2."""
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(size=(sum(sizes), dim)) * rng.uniform(0.1, 10, size=dim) + 5)
    part = torch.from_numpy(rng.permutation(np.repeat(np.arange(5), sizes)))
    return features, torch.stack([(part - fold) % 5 < 3 for fold in range(5)])


@pytest.mark.parametrize("sizes", [[40] * 5, [40, 50, 33, 64, 40], [10] * 5])
@pytest.mark.parametrize("folds", [[0, 1, 2, 3, 4], [0, 0, 2, 4], [3]])
@pytest.mark.parametrize("dim", [6, 300])
def test_products_are_those_of_each_members_own_scaled_rows(sizes, folds, dim):
    features, parts = _table(sizes, dim)
    made = make_design(features.clone(), parts, "standard", torch.float64)
    folds = torch.tensor(folds)
    batch = Batch(made.matrices, folds)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(folds), 2, made.matrices.dim + 1, generator=generator, dtype=torch.float64)
    logits = torch.zeros(batch.number, 2, batch.size, dtype=torch.float64)
    batch.forward(x, logits)
    weights = batch.rows(parts[folds].double())
    targets = torch.randn(len(folds), 2, len(features), generator=generator, dtype=torch.float64)
    residual = batch.rows(targets) * weights[:, None]
    found, gradient = batch.sums((logits * residual).sum((1, 2))), batch.backward(residual)
    # `weights` takes coordinates of every fold.
    each = torch.zeros(5, 1, 2, made.matrices.dim, dtype=torch.float64)
    for member, fold in enumerate(folds.tolist()):
        each[fold, 0] = x[member, :, :-1]
        scaled = (features - made.shift64[fold]) / made.scale64[fold]
        real = made.weights(each.flatten(1, 2), torch.arange(5))[fold] @ scaled.T + x[member, :, -1:]
        expected = (real * targets[member] * parts[fold]).sum()
        np.testing.assert_allclose(found[member], expected, rtol=1e-8)
        # The gradient is the adjoint of the logits.
        torch.testing.assert_close((gradient[member] * x[member]).sum(), expected, rtol=1e-8, atol=0)


def test_blocks_hold_each_row_that_a_fold_trains_on_once():
    _, parts = _table([40, 50, 33, 64, 40])
    layout = Layout.of(parts)
    for fold, part in enumerate(parts):
        rows = torch.cat([rows for rows, has in zip(layout.blocks, layout.trained[:, fold], strict=True) if has])
        assert torch.equal(rows.sort().values, part.nonzero()[:, 0])


@pytest.mark.parametrize(("rows", "dim"), [(400, 60), (400, 300)])
def test_preconditioner_inverts_the_hessian(rows, dim):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(rows, dim, generator=generator, dtype=torch.float64) / torch.arange(1, dim + 1) ** 2
    counts = torch.tensor([rows, rows])
    gram = Gram.of(features, torch.arange(rows), counts)
    # A single column, as columns of a softmax are kept at a mean of zero.
    inverse = Preconditioner(gram, torch.tensor([0, 1]), (2, 1, dim + 1), counts.double(), 0.0)
    strength, spread = torch.tensor([0.01, 10.0]).double(), torch.tensor([[0.2], [0.1]]).double()
    inverse.renew(slice(None), strength, spread)
    gradient = torch.randn(2, 1, dim + 1, generator=generator, dtype=torch.float64)
    found = inverse.apply(gradient)
    for member in range(2):
        curvature = strength[member] * spread[member, 0]
        hessian = curvature * features.T @ features + torch.eye(dim)
        expected = torch.linalg.solve(hessian, gradient[member, 0, :-1])
        torch.testing.assert_close(found[member, 0, :-1], expected, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(found[member, 0, -1], gradient[member, 0, -1] / (curvature * rows))
    some = torch.tensor([1])
    torch.testing.assert_close(inverse.apply(gradient[some], some), found[some])


@pytest.mark.parametrize("dim", [64, 300])
def test_objectives_end_near_their_minimum(made, dim):
    data = made(clips=400, dim=dim, classes=5, gap=0.3)
    features, minima, ends = torch.from_numpy(data.vectors), [], []
    for c in (1e-3, 0.1, 10.0):
        for settings, kept in (
            (LogisticSettings(C=[c], dtype="float64", tol=1e-9, max_iter=2000), minima),
            (LogisticSettings(C=[1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0]), ends),
        ):
            at = len([value for value in (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0) if value < c])
            choose = (lambda fold, posterior: 0.0) if kept is minima else _chooser(at)
            fit = fit_logistic(features, data.labels, data.splits, 5, settings, choose)
            assert (fit.chosen == c).all()
            kept.append([_objective(fit, data, fold, c) for fold in range(5)])
    minima, ends = np.array(minima), np.array(ends)
    assert (ends >= minima * (1 - 1e-6)).all()
    floor = 0.01 * np.array([[1e-3], [0.1], [10.0]]) * 240
    assert ((ends - minima) / (minima + floor)).max() < 4e-3


def _chooser(place):
    """A score that is best the `place`-th time a fold asks."""
    asked = {}

    def score(fold, posterior):
        asked[fold] = asked.get(fold, -1) + 1
        return float(asked[fold] == place)

    return score


def _objective(fit, data, fold, c):
    train = data.splits[fold].train
    weights = fit.weights[fold].double()
    scaled = (torch.from_numpy(data.vectors[train]).double() - fit.shift[fold]) / fit.scale[fold]
    logits = scaled @ weights.T + fit.bias[fold].double()
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.labels[train]), reduction="sum")
    return float(c * loss + 0.5 * (weights**2).sum())
