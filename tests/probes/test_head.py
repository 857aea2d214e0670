"""Heads trained by gradient: the stack against torch's own layers, the grids of the protocols, and what they never do."""

import itertools
import random

import numpy as np
import pytest
import torch

from benchmark.config.schema_probe import PROTOCOLS, HeadSettings, protocol_settings
from benchmark.metrics.folds import make_splits
from benchmark.probes.data import FrameTable
from benchmark.probes.head import grid
from benchmark.probes.headnet import DeltaOf, Shape, StackedHead
from benchmark.probes.run import run_probe

HEADS = [name for name, (solver, _) in PROTOCOLS.items() if solver == "head"]
# What makes each protocol quick enough for a test.
SHRINK = {
    "hear": {"hidden_dim": 32, "epochs": 30, "patience": 4, "lr": [3e-3, 1e-2]},
    "hear-nested": {"hidden_dim": 32, "epochs": 30, "patience": 4, "lr": [3e-3, 1e-2]},
    "hares": {"steps": 300, "warmup": 50, "lr": [1e-2]},
    "xares": {"lr": [1e-2]},
    "superb-like": {"epochs": 20},
    "attention": {"epochs": 20, "lr": [1e-2]},
}


class _Torch(torch.nn.Module):
    """The same head of torch's layers, for one member."""

    def __init__(self, shape, parameters):
        super().__init__()
        self.shape, self.mix = shape, torch.nn.Parameter(torch.zeros(shape.layers))
        self.query = torch.nn.Parameter(torch.zeros(shape.dim))
        self.norm = torch.nn.LayerNorm(shape.dim) if shape.layer_norm else torch.nn.Identity()
        widths = [shape.dim, *shape.hidden]
        self.linear = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.batch = torch.nn.ModuleList(
            torch.nn.BatchNorm1d(h) if shape.batch_norm else torch.nn.Identity() for h in shape.hidden
        )
        self.out = torch.nn.Linear(widths[-1], shape.classes)
        start = 0
        for name, size in shape.pieces:
            count = int(np.prod(size))
            value = parameters[start : start + count].view(size)
            start += count
            self.of(name).data.copy_(value.T if len(size) == 2 else value)

    def of(self, name):
        if name in ("mix", "query"):
            return getattr(self, name)
        if name.startswith("norm"):
            return self.norm.weight if name == "norm_scale" else self.norm.bias
        if name in ("weight", "bias"):
            return getattr(self.out, name)
        kind, number = name[:-1], int(name[-1])
        if kind in ("weight", "bias"):
            return getattr(self.linear[number], kind)
        return getattr(self.batch[number], "weight" if kind == "scale" else "bias")

    def mixed(self, x):
        states = x.unflatten(-1, (self.shape.layers, -1))
        return torch.einsum("l,...ld->...d", torch.softmax(self.mix, 0), states)

    def forward(self, x, masks=None):
        if self.shape.attention:
            clips = [self.mixed(clip[~clip[:, 0].isnan()]) for clip in x]
            x = torch.stack([torch.softmax(clip @ self.query, 0) @ clip for clip in clips])
        else:
            x = self.mixed(x)
        x = self.norm(x)
        for number, (linear, batch) in enumerate(zip(self.linear, self.batch, strict=True)):
            x = batch(linear(x))
            x = torch.relu(x * masks[number] if masks else x)
        return self.out(x)


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize(
    ("layers", "hidden", "layer_norm", "batch_norm", "attention"),
    [
        (1, (), False, False, False),
        (1, (7,), False, True, False),
        (1, (7, 5), True, True, False),
        (3, (), True, False, False),
        (3, (6,), False, True, False),
        (1, (), False, False, True),
        (3, (6,), True, True, True),
    ],
)
def test_gradients_and_running_statistics_agree_with_torch(
    layers, hidden, layer_norm, batch_norm, attention, multilabel
):
    shape = Shape(layers, 4, hidden, 3, layer_norm, batch_norm, attention)
    generator = torch.Generator().manual_seed(0)
    flat = torch.stack([shape.initial(generator, "default") for _ in range(2)])
    flat += 0.1 * torch.randn(flat.shape, generator=generator)
    net = StackedHead(shape, flat.clone())
    x = torch.randn(2, 9, *([5] if attention else []), 4 * layers, generator=generator)
    if attention:
        # Clips of one to five frames.
        x[:, torch.arange(5) > torch.arange(9)[:, None] % 5] = torch.nan
    # The second member has two rows less in this batch.
    present = torch.ones(2, 9, 1)
    present[1, 7:] = 0
    mass = present / present.sum(1, keepdim=True)
    targets = torch.randint(0, 3, (2, 9), generator=generator)
    if multilabel:
        targets = torch.randint(-1, 2, (2, 9, 3), generator=generator).float()
    masks = [(torch.rand(2, 9, h, generator=generator) < 0.8) / 0.8 for h in hidden]
    net.train_step(x, mass, DeltaOf(targets, mass), masks)
    for member, rows in enumerate((9, 7)):
        reference = _Torch(shape, flat[member])
        logits = reference(x[member, :rows], [mask[member, :rows] for mask in masks])
        truth = targets[member, :rows]
        if multilabel:
            known = truth >= 0
            each = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth.clamp(min=0), reduction="none")
            loss = (each * known).mean()
        else:
            loss = torch.nn.functional.cross_entropy(logits, truth)
        loss.backward()
        expected = []
        for name, size in shape.pieces:
            gradient = reference.of(name).grad
            expected.append((gradient.T if len(size) == 2 else gradient).reshape(-1))
        torch.testing.assert_close(net.gradient[member], torch.cat(expected), atol=2e-6, rtol=1e-4)
        reference.eval()
        torch.testing.assert_close(net.logits(x)[member], reference(x[member]), atol=1e-5, rtol=1e-4)


def test_a_batch_of_one_row_has_no_spread():
    shape = Shape(1, 4, (6,), 3, False, True)
    flat = shape.initial(torch.Generator().manual_seed(0), "default")[None]
    net, x, mass = StackedHead(shape, flat), torch.ones(1, 1, 4), torch.ones(1, 1, 1)
    net.train_step(x, mass, DeltaOf(torch.zeros(1, 1, dtype=torch.int64), mass))
    assert net.gradient.isfinite().all()
    torch.testing.assert_close(net.running[0, 1], torch.full((6,), 0.9))
    torch.testing.assert_close(net.running[0, 0], 0.1 * (x[0] @ net._p["weight0"][0] + net._p["bias0"])[0])


def test_hear_trains_eight_points_in_its_own_order():
    from sklearn.model_selection import ParameterGrid

    names = {"hidden_layers": [1, 2], "initialization": ["xavier_uniform", "xavier_normal"]}
    theirs = list(ParameterGrid({**names, "lr": [3.2e-3, 1e-3, 3.2e-4, 1e-4], "batch_size": [1024]}))
    random.seed(42)
    random.shuffle(theirs)
    ours = grid(protocol_settings("hear"))
    assert [(p.hidden_layers, p.init, p.lr) for p in ours] == [
        (t["hidden_layers"], t["initialization"], t["lr"]) for t in theirs[:8]
    ]
    assert len(grid(protocol_settings("hear-nested"))) == 16


def _run(data, name, **arguments):
    settings = protocol_settings(name).model_copy(update=SHRINK[name])
    table = FrameTable(data.frames, data.offsets) if settings.of_sequences else FrameTable(None, vectors=data.vectors)
    return run_probe(table, data.labels, data.splits, name, settings, **arguments)


@pytest.mark.parametrize("name", HEADS)
def test_every_protocol_learns_and_its_control_does_not(made, name):
    data = made(clips=240, groups=120, gap=2.0, seed=3)
    real = _run(data, name, groups=data.groups, seed=1)
    score = np.mean(real.scores["file"]["accuracy"])
    assert score > 0.85
    control = _run(data, name, groups=data.groups, seed=1, shuffle_labels=True)
    assert control.null["file"].agrees(np.mean(control.scores["file"]["accuracy"]))
    assert not control.null["file"].agrees(score)


def test_selection_rules(made):
    data = made(gap=0.6)
    first = [fold.chosen for fold in _run(data, "hear").folds]
    assert len({(c["hidden_layers"], c["init"], c["lr"]) for c in first}) == 1
    nested = [fold.chosen for fold in _run(data, "hear-nested").folds]
    assert len({(c["hidden_layers"], c["init"], c["lr"]) for c in nested}) > 1
    last = [fold.chosen for fold in _run(data, "hares").folds]
    assert all("valid" not in choice for choice in last)


@pytest.mark.parametrize("name", HEADS)
def test_test_labels_change_neither_choice_nor_answers(made, name):
    data = made(gap=0.6, clips=90)
    one = _run(data, name, n_classes=3)
    split = data.splits[0]
    data.splits = [split]
    other = data.labels.copy()
    other[split.test] = (other[split.test] + 1) % 3
    # Alone a fold gives what it gives beside the others.
    alone = _run(data, name, n_classes=3)
    data.labels = other
    two = _run(data, name, n_classes=3)
    assert alone.folds == two.folds
    assert np.array_equal(alone.predictions.posterior, two.predictions.posterior)
    beside = one.predictions.posterior[one.predictions.fold == 0]
    np.testing.assert_allclose(beside, alone.predictions.posterior, atol=2e-4)


def test_hares_looks_at_no_validation_label(made):
    data = made(gap=0.6, clips=90)
    one = _run(data, "hares", n_classes=3)
    data.splits = data.splits[:1]
    data.labels[data.splits[0].valid] = (data.labels[data.splits[0].valid] + 1) % 3
    two = _run(data, "hares", n_classes=3)
    beside = one.predictions.posterior[one.predictions.fold == 0]
    np.testing.assert_allclose(beside, two.predictions.posterior, atol=2e-4)


def test_the_mix_of_layers_finds_the_one_that_tells(made):
    data = made(gap=1.5)
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(120, 12, 2)).astype(np.float32) * 3
    data.vectors = np.concatenate([noise[..., 0], data.vectors, noise[..., 1]], 1)
    settings = protocol_settings("superb-like").model_copy(update={"layers": 3, "epochs": 60})
    table = FrameTable(None, vectors=data.vectors)
    mixed = run_probe(table, data.labels, data.splits, "superb-like", settings)
    assert np.mean(mixed.scores["file"]["accuracy"]) > 0.8
    with pytest.raises(ValueError, match="not 5 layers"):
        run_probe(table, data.labels, data.splits, "superb-like", settings.model_copy(update={"layers": 5}))


def test_attention_finds_the_frames_that_tell(made):
    data = made(clips=240, seed=2)
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(240, 24, 12)).astype(np.float32)
    frames[..., 0] -= 2
    marked = rng.integers(24, size=240)
    # One frame of 24 has the class, and a mark in a feature of its own; the mean hides it.
    frames[np.arange(240), marked, 0] += 6
    frames[np.arange(240), marked, 1 + data.labels] += 4
    table = FrameTable(frames.reshape(-1, 12), np.arange(0, 240 * 24 + 1, 24), frames.mean(1))
    settings = protocol_settings("attention").model_copy(update={"lr": [1e-2]})
    attended = run_probe(table, data.labels, data.splits, "attention", settings)
    pooled = run_probe(table, data.labels, data.splits, "logistic")
    score, plain = (np.mean(result.scores["file"]["accuracy"]) for result in (attended, pooled))
    assert score > 0.9 > plain + 0.2
    few = settings.model_copy(update={"attended": 3})
    assert np.mean(run_probe(table, data.labels, data.splits, "attention", few).scores["file"]["accuracy"]) < 0.7


def test_class_weights_agree_with_torch(made):
    data = made(clips=150, gap=0.5, classes=2)
    kept = np.flatnonzero((data.labels == 0) | (np.arange(150) % 5 == 1))
    x, labels = data.vectors[kept, :2], data.labels[kept]
    splits = make_splits([f"{i:03}" for i in kept], labels, None, "stratified", k=3)[:1]
    made_by = {"hidden_layers": [0], "dropout": 0.0, "init": ["default"], "lr": [5e-2], "batch": 1000, "shuffle": False}
    settings = HeadSettings(**made_by, epochs=300, keep="last", class_weight=True)
    answers = run_probe(FrameTable(None, vectors=x), labels, splits, "head", settings).predictions.posterior
    train, test = splits[0].train, splits[0].test
    net = torch.nn.Linear(2, 2)
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)
    weights = torch.from_numpy(len(train) / (2 * np.bincount(labels[train]))).float()
    loss, optimiser = torch.nn.CrossEntropyLoss(weights), torch.optim.LBFGS(net.parameters(), max_iter=200)

    def closure():
        optimiser.zero_grad()
        value = loss(net(torch.from_numpy(x[train])), torch.from_numpy(labels[train]))
        value.backward()
        return value

    optimiser.step(closure)
    expected = torch.softmax(net(torch.from_numpy(x[test])), 1).detach().numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-3)
    plain = settings.model_copy(update={"class_weight": False})
    unweighted = run_probe(FrameTable(None, vectors=x), labels, splits, "head", plain).predictions.posterior
    assert np.abs(unweighted - expected).max() > 0.1


def test_attention_answers_for_clips_alone(made):
    data = made()
    with pytest.raises(ValueError, match="score files alone"):
        _run(data, "attention", levels=("frame",))
    with pytest.raises(ValueError, match="score files alone"):
        run_probe(FrameTable(None, vectors=data.vectors), data.labels, data.splits, "attention")


def test_multilabel_heads_skip_what_is_unknown(made):
    data = made(gap=2.0)
    labels = np.stack([data.labels == 0, np.where(np.arange(120) % 4 == 1, -1, data.labels != 1)], 1).astype(int)
    settings = HeadSettings(hidden_layers=[1], hidden_dim=16, epochs=30, lr=[1e-2], init=["default"])
    metrics = ["auroc"]
    known = labels.copy()
    known[:, 1] = data.labels != 1
    for split in data.splits:
        labels[split.valid], labels[split.test] = known[split.valid], known[split.test]
    result = run_probe(FrameTable(None, vectors=data.vectors), labels, data.splits, "head", settings, metrics=metrics)
    assert np.mean(result.scores["file"]["auroc"]) > 0.9
