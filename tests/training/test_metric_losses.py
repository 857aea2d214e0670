"""Losses of metric learning against their formulas, a segment at a time, and against the known trainer's definitions."""

import math

import pytest
import torch
from torch.nn import functional

from benchmark.training.metric_losses import GE2E, AngularPrototypical, Prototypical, Triplet, make_loss


@pytest.fixture
def x():
    return torch.randn(5, 4, 7, generator=torch.Generator().manual_seed(3))


def cosine(a, b) -> float:
    return float(a @ b / a.norm() / b.norm())


def softmax_loss(logits: list[list[float]], own: list[int]) -> float:
    return sum(math.log(sum(math.exp(v) for v in row)) - row[o] for row, o in zip(logits, own, strict=True)) / len(own)


def test_prototypical_by_hand(x):
    prototypes = [sum(x[n, m] for m in range(3)) / 3 for n in range(5)]
    logits = [[-float((x[n, 3] - c).square().sum()) for c in prototypes] for n in range(5)]
    assert float(Prototypical()(x)) == pytest.approx(softmax_loss(logits, list(range(5))), rel=1e-5)


def test_angular_prototypical_by_hand(x):
    prototypes = [sum(x[n, m] for m in range(3)) / 3 for n in range(5)]
    logits = [[10 * cosine(x[n, 3], c) - 5 for c in prototypes] for n in range(5)]
    assert float(AngularPrototypical()(x)) == pytest.approx(softmax_loss(logits, list(range(5))), rel=1e-5)


def test_ge2e_by_hand(x):
    logits, own = [], []
    for n in range(5):
        for m in range(4):
            row = []
            for k in range(5):
                used = [x[k, i] for i in range(4) if k != n or i != m]
                row.append(10 * max(cosine(x[n, m], sum(used) / len(used)), 1e-6) - 5)
            logits.append(row)
            own.append(n)
    assert float(GE2E()(x)) == pytest.approx(softmax_loss(logits, own), rel=1e-5)


@pytest.mark.parametrize("squared", [False, True])
def test_triplets_by_hand(x, squared):
    loss = Triplet(margin=0.2, squared=squared, hard=1.0, rank=1)
    unit = functional.normalize(x, dim=-1)
    power = 2 if squared else 1
    found = []
    for n in range(5):
        for m in range(1, 4):
            far = [float((unit[n, 0] - unit[k, m]).norm()) ** power for k in range(5)]
            # The hardest negative is the nearest one of the others.
            found.append(max(0.0, far[n] - min(far[k] for k in range(5) if k != n) + 0.2))
    assert float(loss(x)) == pytest.approx(sum(found) / len(found), rel=1e-4)


def test_negatives_are_others_and_within_reach(x):
    loss, distance = Triplet(hard=1.0, rank=2), torch.rand(9, 9, generator=torch.Generator().manual_seed(1))
    seen = set()
    for seed in range(50):
        chosen = loss._negatives(distance, torch.Generator().manual_seed(seed))
        for n, other in enumerate(chosen.tolist()):
            others = sorted((float(distance[n, k]), k) for k in range(9) if k != n)
            assert other in [k for _, k in others[:2]]
            seen.add((n, other))
    assert len(seen) == 18
    anywhere = {
        int(Triplet(hard=0.0)._negatives(distance, torch.Generator().manual_seed(seed))[0]) for seed in range(200)
    }
    assert anywhere == set(range(1, 9))


def test_of_two_segments_the_losses_are_the_known_trainers():
    """With two segments voxceleb_trainer's GE2E and angular prototypical losses have one segment as centroid."""
    x = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(5))
    query, centroid = x[:, 1], x[:, 0]
    cosines = functional.cosine_similarity(query[:, None], centroid[None], dim=-1)
    expected = functional.cross_entropy(10 * cosines - 5, torch.arange(6))
    torch.testing.assert_close(AngularPrototypical()(x), expected)
    distances = torch.cdist(query, centroid).square()
    torch.testing.assert_close(Prototypical()(x), functional.cross_entropy(-distances, torch.arange(6)))


def test_the_scale_stays_positive(x):
    loss = GE2E()
    with torch.no_grad():
        loss.cosine.scale.fill_(-3.0)
    assert float(loss(x)) == pytest.approx(math.log(5), rel=1e-3)


@pytest.mark.parametrize("name", ["triplet", "prototypical", "angular-prototypical", "ge2e"])
def test_a_step_downhill_lowers_every_loss_and_what_is_apart_costs_little(name, x):
    loss = make_loss(name, 0.2)
    points = x.clone().requires_grad_()
    generator = torch.Generator().manual_seed(0)
    before = loss(points, generator)
    before.backward()
    after = loss(points.detach() - 0.05 * points.grad, torch.Generator().manual_seed(0))
    assert float(after) < float(before)
    apart = 30 * torch.eye(5, 7)[:, None] + 0.01 * x
    assert float(loss(apart, generator)) < 0.01
    same = torch.ones(3, 2, 4, requires_grad=True)
    loss(same, generator).backward()
    assert torch.isfinite(same.grad).all()
