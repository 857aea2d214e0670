"""Metric learning: batches that are what they say, a training that finds identities, and the same bytes after a kill."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.training.metric import MetricSettings, train_metric, validation_error
from benchmark.training.metric_batches import identity_batches, random_segments
from benchmark.training.metric_losses import make_loss
from benchmark.training.state import StateFile

SETTINGS = MetricSettings(identities=10, segments=4, size=6, epochs=8, patience=8, lr=0.01, decay=0.9, decay_every=2)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(6 * 8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, x):
        return self.layers(x)


@pytest.fixture(scope="module")
def voices():
    """Thirty identities in four dimensions; in four others clips differ four times as much, whoever is heard."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(30), 8)
    places = rng.normal(size=(30, 4))
    frames = [
        torch.from_numpy(
            np.concatenate([places[label], 4 * rng.normal(size=4)]) + 0.3 * rng.normal(size=(9 + i % 3, 8))
        ).float()
        for i, label in enumerate(labels)
    ]
    return frames, labels, np.flatnonzero(labels < 20), np.flatnonzero(labels >= 20)


def learn(voices, name="ge2e", saved=None, settings=SETTINGS, progress=None):
    frames, labels, train, valid = voices
    torch.manual_seed(0)
    net, loss = Encoder(), make_loss(name, 0.2)
    return net, train_metric(net, loss, frames, labels, train, valid, settings, 5, saved=saved, progress=progress)


def test_batches_hold_different_identities_each_with_clips_of_its_own():
    labels = np.repeat(np.arange(7), [8, 8, 8, 8, 8, 5, 2])
    for epoch in range(3):
        used: list[int] = []
        for batch in identity_batches(labels, range(len(labels)), 4, 3, seed=1, epoch=epoch):
            assert batch.shape == (4, 3)
            of = labels[batch.numpy()]
            assert (of == of[:, :1]).all() and len(set(of[:, 0])) == 4
            assert all(len(set(row)) == 3 for row in batch.tolist())
            used += batch.flatten().tolist()
        assert 6 not in labels[used], "an identity with fewer clips than a row waits"
        assert set(labels[used]) == set(range(6))
    first, again, later = (
        [b.tolist() for b in identity_batches(labels, range(len(labels)), 4, 3, 1, epoch)] for epoch in (0, 0, 1)
    )
    assert first == again != later


def test_too_few_identities_are_refused():
    with pytest.raises(ValueError, match="fewer than two identities have 3 clips"):
        identity_batches(np.array([0, 0, 0, 1]), range(4), 2, 3, 0, 0)


def test_segments_lie_within_their_clips():
    frames = [torch.arange(start, start + length)[:, None].float() for start, length in ((0, 6), (100, 20))]
    got = random_segments(frames, torch.tensor([[0, 1], [1, 1]]), 6, torch.Generator().manual_seed(0))
    assert got.shape == (4, 6, 1)
    assert got[0, :, 0].tolist() == list(range(6))
    for segment in got[1:, :, 0]:
        assert 100 <= segment[0] <= 114 and torch.equal(segment, segment[0] + torch.arange(6))


@pytest.mark.parametrize("name", ["triplet", "prototypical", "angular-prototypical", "ge2e"])
def test_identities_that_were_never_heard_are_told_apart(voices, name):
    frames, labels, _, valid = voices
    told = []
    net, fitted = learn(voices, name, progress=lambda *state: told.append(state))
    untrained = Encoder()
    net.load_state_dict(fitted.state)
    error = validation_error(net, frames, labels, valid, 6, "cpu")
    assert error == pytest.approx(1 - fitted.valid)
    assert error < validation_error(untrained, frames, labels, valid, 6, "cpu") - 0.1
    assert [epoch for _, epoch, _ in told] == list(range(1, 9))
    assert fitted.valid == max(score for _, _, score in told)


class Killed(Exception):
    pass


def test_a_killed_training_comes_to_the_same_bytes(voices, tmp_path):
    _, whole = learn(voices, "triplet")

    class Counted(StateFile):
        writes = 0

        def is_due(self):
            return True

        def write(self, members):
            super().write(members)
            Counted.writes += 1
            if Counted.writes in (1, 5, 6):
                raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            learn(voices, "triplet", Counted(tmp_path / "x.state", "key"))
    _, resumed = learn(voices, "triplet", Counted(tmp_path / "x.state", "key"))
    assert (whole.valid, whole.best_epoch, whole.epochs) == (resumed.valid, resumed.best_epoch, resumed.epochs)
    for key, value in whole.state.items():
        assert torch.equal(value, resumed.state[key]), key
    assert not (tmp_path / "x.state").exists()


def test_training_ends_when_nothing_gets_better(voices):
    settings = MetricSettings(4, 2, 6, epochs=200, patience=3, lr=1e-9, decay=1.0, decay_every=1)
    _, fitted = learn(voices, settings=settings)
    assert fitted.epochs == fitted.best_epoch + 3 < 60


def test_a_validation_part_without_pairs_is_refused(voices):
    frames, labels, train, _ = voices
    with pytest.raises(ValueError, match="no two clips of one identity"):
        train_metric(Encoder(), make_loss("ge2e", 0.1), frames, labels, train, [160, 170], SETTINGS, 0)
