"""The stacked perceptrons: gradients, early stopping, and independence of what runs beside a member."""

import itertools

import numpy as np
import pytest
import torch

from benchmark.config.schema_probe import MlpSettings
from benchmark.probes.mlp import Member, fit_mlp
from benchmark.probes.stacked import StackedMlp

QUICK = MlpSettings(hidden=(16,), max_epochs=25, patience=10, lr=1e-2)


@pytest.mark.parametrize("hidden", [(), (7,), (6, 5)])
@pytest.mark.parametrize("dropped", [False, True])
def test_backward_agrees_with_autograd(hidden, dropped):
    if dropped and not hidden:
        return
    sizes = [4, *hidden, 3]
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    net = StackedMlp(sizes, StackedMlp.initial(sizes, generators).double())
    x, target = torch.randn(2, 9, 4, dtype=torch.float64), torch.randint(3, (2, 9))
    masks = [(torch.rand(2, 9, units) < 0.5).double() * 2 for units in hidden] if dropped else []
    values = net.forward(x, masks)
    delta = torch.softmax(values[-1], 2) - torch.nn.functional.one_hot(target, 3)
    net.backward(values, delta, masks)

    flat = net.flat.clone().requires_grad_()
    z, start = x, 0
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        weight = flat[:, start : start + fan_in * fan_out].reshape(2, fan_in, fan_out)
        start += fan_in * fan_out
        z = z @ weight + flat[:, None, start : start + fan_out]
        start += fan_out
        if number < len(hidden):
            z = torch.relu(z) * (masks[number] if masks else 1)
    torch.nn.functional.cross_entropy(z.reshape(-1, 3), target.reshape(-1), reduction="sum").backward()
    torch.testing.assert_close(net.gradient, flat.grad)


def test_training_agrees_with_plain_torch(made):
    data = made(dim=5)
    split = data.splits[0]
    settings = MlpSettings(hidden=(8,), max_epochs=3, patience=10, batch=32, scaling="none")
    fit = fit_mlp(torch.from_numpy(data.vectors), data.labels, [split], 3, settings, seed=4)

    generator = torch.Generator()
    state = np.random.SeedSequence([4, 0, 0]).generate_state(1, np.uint64)[0]
    generator.manual_seed(int(state >> np.uint64(1)))
    start = StackedMlp.initial([5, 8, 3], [generator])[0]
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.copy_(start[:40].view(5, 8).T)
        net[0].bias.zero_()
        net[2].weight.copy_(start[48:72].view(8, 3).T)
        net[2].bias.zero_()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    best, kept = -1.0, None
    x, y = torch.from_numpy(data.vectors), torch.from_numpy(data.labels)
    for _ in range(3):
        order = torch.from_numpy(split.train)[torch.randperm(len(split.train), generator=generator)]
        for rows in order.split(32):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
            adam.step()
        accuracy = (net(x[split.valid]).argmax(1) == y[split.valid]).float().mean().item()
        if accuracy > best:
            best, kept = accuracy, torch.softmax(net(x[split.test]), 1).detach().numpy()
    np.testing.assert_allclose(fit.posterior(0, x[split.test]), kept, atol=1e-5)
    assert fit.valid_scores[0] == pytest.approx(best)


def test_a_fold_alone_is_the_same_as_within_the_batch(made):
    data = made(clips=121, classes=3, gap=0.7)
    features = torch.from_numpy(data.vectors)
    whole = fit_mlp(features, data.labels, data.splits, 3, QUICK)
    assert len(set(whole.epochs)) > 1
    for fold in range(5):
        alone = fit_mlp(features, data.labels, data.splits, 3, QUICK, members=[Member(fold)])
        assert alone.epochs[0] == whole.epochs[fold]
        assert alone.best_epoch[0] == whole.best_epoch[fold]
        torch.testing.assert_close(alone.parameters[0], whole.parameters[fold], atol=1e-4, rtol=1e-3)
        answers = [fit.posterior(number, features).argmax(1) for fit, number in ((alone, 0), (whole, fold))]
        assert np.array_equal(*answers)


def test_members_may_differ_in_seed_and_learning_rate(made):
    data = made()
    features = torch.from_numpy(data.vectors)
    members = [Member(0, lr=1e-2), Member(0, lr=1e-3), Member(0, seed=1, lr=1e-2), Member(1, lr=1e-3)]
    whole = fit_mlp(features, data.labels, data.splits, 3, QUICK, members=members)
    assert sorted(member.lr for member in whole.members) == [member.lr for member in whole.members]
    for number, member in enumerate(whole.members):
        alone = fit_mlp(features, data.labels, data.splits, 3, QUICK, members=[member])
        torch.testing.assert_close(alone.parameters[0], whole.parameters[number], atol=1e-4, rtol=1e-3)
    assert not torch.allclose(whole.parameters[0], whole.parameters[1])


def test_batches_are_shuffled_anew_each_epoch(made, monkeypatch):
    from benchmark.probes import mlp

    orders = []
    shuffle = mlp._Course.shuffle

    def spy(course, batch):
        shuffle(course, batch)
        orders.append((course.member.fold, course.order.clone()))

    monkeypatch.setattr(mlp._Course, "shuffle", spy)
    data = made()
    fit_mlp(torch.from_numpy(data.vectors), data.labels, data.splits, 3, MlpSettings(hidden=(4,), max_epochs=4))
    for fold, split in enumerate(data.splits):
        mine = [order.flatten() for number, order in orders if number == fold]
        assert len(mine) == 4
        for order in mine:
            assert np.array_equal(np.sort(order[order >= 0]), split.train)
            assert not np.array_equal(order[order >= 0], split.train)
        assert not torch.equal(mine[0], mine[1])


def test_early_stopping_restores_the_best_epoch(made):
    data = made(gap=0.6, dim=20)
    features = torch.from_numpy(data.vectors)
    fit = fit_mlp(features, data.labels, data.splits, 3, MlpSettings(hidden=(32,), max_epochs=60, patience=7, lr=1e-2))
    stopped = fit.epochs < 60
    assert stopped.any()
    assert np.array_equal((fit.epochs - fit.best_epoch)[stopped], np.full(stopped.sum(), 7))
    for fold, split in enumerate(data.splits):
        accuracy = (fit.posterior(fold, features[split.valid]).argmax(1) == data.labels[split.valid]).mean()
        assert accuracy == pytest.approx(fit.valid_scores[fold])


def test_test_part_changes_nothing(made):
    data = made(gap=0.7)
    features, split = torch.from_numpy(data.vectors), data.splits[1]
    labels, other = data.labels.copy(), features.clone()
    labels[split.test] = (labels[split.test] + 1) % 3
    other[split.test] = -50
    fits = [fit_mlp(x, y, [split], 3, QUICK) for x, y in ((features, data.labels), (other, labels))]
    assert torch.equal(fits[0].parameters, fits[1].parameters)
    assert fits[0].best_epoch == fits[1].best_epoch


@pytest.mark.parametrize("scaling", ["standard", "kehling", "minmax"])
def test_learns_whatever_the_scaling(made, scaling):
    data = made(gap=2.0)
    settings = MlpSettings(hidden=(32,), lr=1e-2, max_epochs=60, scaling=scaling)
    fit = fit_mlp(torch.from_numpy(data.vectors * 10 + 50), data.labels, data.splits, 3, settings)
    assert fit.valid_scores.mean() > 0.9


def test_dropout_class_weights_and_depth(made):
    data = made(gap=2.0)
    settings = MlpSettings(hidden=(32, 16), lr=1e-2, max_epochs=40, dropout=0.3, class_weight=True)
    fit = fit_mlp(torch.from_numpy(data.vectors), data.labels, data.splits, 3, settings)
    assert fit.valid_scores.mean() > 0.85


def test_multilabel_needs_a_score_and_learns(made):
    from benchmark.metrics.classification import mean_average_precision

    data = made(gap=2.0)
    labels = np.stack([data.labels == 0, data.labels != 1], 1).astype(int)
    features = torch.from_numpy(data.vectors)
    with pytest.raises(ValueError, match="needs a score"):
        fit_mlp(features, labels, data.splits, 2, QUICK, multilabel=True)

    def score(fold, posterior):
        return mean_average_precision(labels[data.splits[fold].valid], posterior)

    fit = fit_mlp(features, labels, data.splits, 2, QUICK, multilabel=True, score=score)
    assert fit.valid_scores.mean() > 0.9
