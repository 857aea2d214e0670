"""i-vectors where the truth is known: the mixture, the posterior by its dense formula, a planted subspace, identities."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from benchmark.metrics.verification import eer
from benchmark.models.ivector import IVectorExtractor
from benchmark.training.ivector import fit_background, fit_subspace, train_ivector

GAUSSIANS, SIZE, RANK = 4, 3, 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def planted(recordings: int, frames: int, identities: int | None = None, seed: int = 0):
    """A model with a subspace, and recordings that it gives; identities have their places in it."""
    draw = generator(seed)
    net = IVectorExtractor(GAUSSIANS, SIZE, RANK, normalise=False)
    net.means.copy_(6 * torch.randn(net.means.shape, generator=draw, dtype=torch.float64))
    net.subspace.copy_(torch.randn(net.subspace.shape, generator=draw, dtype=torch.float64))
    labels = np.arange(recordings) % (identities or recordings)
    places = torch.randn(identities or recordings, RANK, generator=draw, dtype=torch.float64)
    sounds = []
    for label in labels:
        w = places[label] + (0.2 * torch.randn(RANK, generator=draw, dtype=torch.float64) if identities else 0)
        chosen = torch.randint(GAUSSIANS, (frames,), generator=draw)
        noise = torch.randn(frames, SIZE, generator=draw, dtype=torch.float64)
        sounds.append((net.means + net.subspace @ w)[chosen] + noise)
    return net, sounds, labels


def test_the_background_model_is_scikit_learns():
    x = torch.cat(planted(5, 400)[1])
    net = IVectorExtractor(GAUSSIANS, SIZE, RANK)
    told = fit_background(net, x, 6, generator(1))
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(told))
    start = x[torch.randperm(len(x), generator=generator(1))[:GAUSSIANS]].numpy()
    reference = GaussianMixture(
        GAUSSIANS, covariance_type="diag", max_iter=6, tol=0, reg_covar=0, means_init=start,
        weights_init=np.full(GAUSSIANS, 1 / GAUSSIANS), precisions_init=1 / np.tile(x.numpy().var(0), (GAUSSIANS, 1)),
    )  # fmt: skip
    with pytest.warns(match="converge"):
        reference.fit(x.numpy())
    np.testing.assert_allclose(net.means, reference.means_, rtol=1e-6)
    np.testing.assert_allclose(net.variances, reference.covariances_, rtol=1e-5)
    np.testing.assert_allclose(net.weights, reference.weights_, rtol=1e-6)
    likelihood = torch.logsumexp(net.log_likelihoods(x), dim=1)
    np.testing.assert_allclose(likelihood, reference.score_samples(x.numpy()), rtol=1e-6)


def test_the_posterior_by_its_dense_formula():
    """With supervectors, block matrices and nothing left out."""
    net, sounds, _ = planted(3, 50)
    net.variances.copy_(torch.rand(net.variances.shape, generator=generator(4), dtype=torch.float64) + 0.5)
    x = torch.stack(sounds)
    total, first = net.statistics(x, torch.ones(x.shape[:2], dtype=x.dtype))
    mean, covariance = net.posterior(total, first)
    flat = net.subspace.reshape(-1, RANK).numpy()
    inverse = np.diag(1 / net.variances.flatten().numpy())
    for b in range(3):
        gamma = torch.softmax(net.log_likelihoods(x[b]), dim=1).numpy()
        counts = np.diag(np.repeat(gamma.sum(0), SIZE))
        centred = sum(
            np.kron(gamma[t], np.ones(SIZE)) * (np.tile(x[b, t].numpy(), GAUSSIANS) - net.means.flatten().numpy())
            for t in range(50)
        )
        precision = np.eye(RANK) + flat.T @ inverse @ counts @ flat
        np.testing.assert_allclose(covariance[b], np.linalg.inv(precision), rtol=1e-8)
        np.testing.assert_allclose(mean[b], np.linalg.solve(precision, flat.T @ inverse @ centred), rtol=1e-8)


def test_a_planted_subspace_is_found():
    truth, sounds, _ = planted(150, 300)
    net = IVectorExtractor(GAUSSIANS, SIZE, RANK, normalise=False)
    net.load_state_dict(truth.state_dict())
    x = torch.stack(sounds)
    total, first = truth.statistics(x, torch.ones(x.shape[:2], dtype=x.dtype))
    fit_subspace(net, total, first, 12, generator(7))
    wanted, found = (torch.linalg.qr(model.subspace.reshape(-1, RANK))[0] for model in (truth, net))
    cosines = torch.linalg.svdvals(wanted.T @ found)
    assert float(cosines.min()) > 0.99
    start = torch.linalg.qr(torch.randn(GAUSSIANS * SIZE, RANK, generator=generator(7), dtype=torch.float64))[0]
    assert float(torch.linalg.svdvals(wanted.T @ start).min()) < 0.7


def test_identities_that_were_never_heard_are_told_apart():
    _, sounds, labels = planted(160, 120, identities=20)
    known = labels < 12
    net = IVectorExtractor(GAUSSIANS, SIZE, RANK, normalise=False)
    heard = [sound for sound, is_known in zip(sounds, known, strict=True) if is_known]
    train_ivector(net, heard, 15, 5, generator(2))
    vectors = torch.cat([net(sound[None]) for sound, is_known in zip(sounds, known, strict=True) if not is_known])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors), dtype=torch.float64))
    of = labels[~known]
    first, second = np.triu_indices(len(of), 1)
    assert eer(of[first] == of[second], (vectors @ vectors.T).numpy()[first, second]) < 0.25
    same = IVectorExtractor(GAUSSIANS, SIZE, RANK, normalise=False)
    train_ivector(same, heard, 15, 5, generator(2))
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in net.state_dict().items())


def test_quiet_frames_and_the_mean_count_nothing():
    net = IVectorExtractor(GAUSSIANS, SIZE, RANK, normalise=True, quiet=5.0)
    loud = torch.randn(1, 40, SIZE, generator=generator(3)).clamp(-2, 2)
    silent = torch.full((1, 15, SIZE), -30.0)
    torch.testing.assert_close(net(torch.cat([loud, silent], dim=1)), net(loud))
    torch.testing.assert_close(net(loud + torch.tensor([3.0, -1.0, 2.0])), net(loud))


def test_more_gaussians_than_frames_are_refused():
    with pytest.raises(ValueError, match="fewer than 4 Gaussians"):
        fit_background(
            IVectorExtractor(GAUSSIANS, SIZE, RANK), torch.zeros(3, SIZE, dtype=torch.float64), 1, generator()
        )
