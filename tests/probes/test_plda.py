"""Two-covariance PLDA: its ratios are those of the densities, its fit is the likelihood's maximum, and few clips will do."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from benchmark.config import keys
from benchmark.config.keys import code_version
from benchmark.config.schema_probe import CosineSettings
from benchmark.metrics.folds import Split
from benchmark.probes import plda as module
from benchmark.probes.back_ends import fit_back_ends
from benchmark.probes.cosine import run_comparison
from benchmark.probes.plda import fit_plda, make_plda


def covariance(rng, size):
    root = rng.normal(size=(size, size))
    return root @ root.T / size + 0.3 * np.eye(size)


def density(clips, mean, between, within):
    """Log density of clips (n, F) of one identity, as one Gaussian of n F dimensions."""
    n = len(clips)
    spread = np.kron(np.ones((n, n)), between) + np.kron(np.eye(n), within)
    return multivariate_normal(np.tile(mean, n), spread).logpdf(clips.ravel())


def drawn(rng, identities, size, clips=(3, 9)):
    """Clips of identities, and the mean and covariances that they are drawn with."""
    mean, between, within = rng.normal(size=size), covariance(rng, size), covariance(rng, size)
    labels = np.repeat(np.arange(identities), rng.integers(*clips, identities))
    voices = rng.multivariate_normal(mean, between, identities)
    return (
        voices[labels] + rng.multivariate_normal(np.zeros(size), within, len(labels)),
        labels,
        (mean, between, within),
    )


@pytest.mark.parametrize("size", [1, 4])
def test_ratios_are_those_of_the_densities(size):
    rng = np.random.default_rng(size)
    parts = rng.normal(size=size), covariance(rng, size), covariance(rng, size)
    model = make_plda(*parts)
    for count in (1, 2, 5):
        asked, stands = rng.normal(size=(3, size)), rng.normal(size=(3, count, size))
        expected = [
            density(np.vstack([others, [clip]]), *parts) - density(others, *parts) - density(clip[None], *parts)
            for clip, others in zip(asked, stands, strict=True)
        ]
        means = np.stack([model.project(others).mean(axis=0) for others in stands])
        assert model.ratios(model.project(asked), means, np.full(3, count)) == pytest.approx(expected, abs=1e-8)


def test_lists_are_in_the_order_of_the_ratios():
    rng = np.random.default_rng(2)
    model = make_plda(rng.normal(size=3), covariance(rng, 3), covariance(rng, 3))
    clips = model.project(rng.normal(size=(6, 3)))
    asked, listed = model.lists(clips)
    first, second = np.divmod(np.arange(36), 6)
    ratios = model.ratios(clips[first], clips[second], np.ones(36)).reshape(6, 6)
    assert ratios == pytest.approx(ratios.T)
    away = ratios - asked @ listed.T
    assert away == pytest.approx(np.repeat(away[:, :1], 6, axis=1))


def test_covariances_are_found_again():
    vectors, labels, (mean, between, within) = drawn(np.random.default_rng(3), 1500, 3)
    found = fit_plda(vectors, labels, shrink=0.0)
    assert found.mean == pytest.approx(mean, abs=0.1)
    for name, value in (("between", between), ("within", within)):
        assert np.linalg.norm(getattr(found, name) - value) < 0.06 * np.linalg.norm(value), name


def test_the_fit_is_where_the_likelihood_is_greatest(monkeypatch):
    monkeypatch.setattr(module, "_ENOUGH", 1e-12)
    monkeypatch.setattr(module, "_STEPS", 5000)
    vectors, labels, truth = drawn(np.random.default_rng(4), 12, 2)
    model = fit_plda(vectors, labels, shrink=0.0)

    def likelihood(*parts):
        return sum(density(vectors[labels == identity], *parts) for identity in range(12))

    best = likelihood(model.mean, model.between, model.within)
    assert best > likelihood(*truth)
    steps = (np.array([[1.0, 0], [0, 0]]), np.array([[0, 0], [0, 1.0]]), np.array([[0, 1.0], [1.0, 0]]))
    for sign in (1e-2, -1e-2):
        assert best > likelihood(model.mean + sign, model.between, model.within)
        for step in steps:
            assert best > likelihood(model.mean, model.between + sign * step, model.within)
            assert best > likelihood(model.mean, model.between, model.within + sign * step)


def test_each_step_makes_the_clips_likelier(monkeypatch):
    told, tell = [], module._likelihood
    monkeypatch.setattr(module, "_likelihood", lambda *parts: told.append(tell(*parts)) or told[-1])
    vectors, labels, _ = drawn(np.random.default_rng(5), 20, 6, (1, 4))
    fit_plda(vectors, labels)
    assert len(told) > 3 and min(np.diff(told)) > -1e-9


@pytest.mark.parametrize("flat", [False, True])
def test_fewer_clips_and_identities_than_dimensions_will_do(flat):
    rng = np.random.default_rng(6)
    labels = np.repeat(np.arange(4), 2)
    vectors = rng.normal(size=(4, 30))[labels] + (0 if flat else 0.3) * rng.normal(size=(8, 30))
    model = fit_plda(vectors, labels)
    assert np.linalg.eigvalsh(model.within)[0] > 0 and (model.ratio >= 0).all()
    assert np.isfinite(fit_plda(np.zeros((8, 3)), labels).basis).all()
    first, second = np.triu_indices(8, 1)
    clips = model.project(vectors)
    ratios = model.ratios(clips[first], clips[second], np.ones(len(first)))
    same = labels[first] == labels[second]
    assert np.isfinite(ratios).all() and ratios[same].min() > ratios[~same].max()


def test_identities_that_teach_nothing_are_refused_or_left_out():
    vectors = np.random.default_rng(7).normal(size=(6, 3))
    for labels in (np.zeros(6, int), np.arange(6)):
        with pytest.raises(
            ValueError, match=r"^PLDA learns from two identities or more and several clips of one; [^\n]*$"
        ):
            fit_plda(vectors, labels)
        assert [name for name, _ in fit_back_ends(vectors, labels, ["none", "plda"])] == ["none"]
        with pytest.raises(ValueError, match="PLDA learns"):
            list(fit_back_ends(vectors, labels, ["plda"]))


def channels(seed=8):
    """Identities in a few dimensions among many that change from clip to clip; parts of different identities."""
    vectors, labels, _ = drawn(np.random.default_rng(seed), 60, 6)
    noise = 3 * np.random.default_rng(seed).normal(size=(len(labels), 6))
    vectors = np.hstack([vectors, noise]).astype(np.float32)
    parts = [np.flatnonzero((labels >= low) & (labels < low + 20)) for low in (0, 20, 40)]
    return vectors, labels, [Split(*parts)]


@pytest.mark.parametrize("segments", [1, 3])
def test_it_may_be_chosen_and_learns_from_the_training_part_alone(segments):
    vectors, labels, splits = channels()

    def compared(names, x, y):
        return run_comparison(x, y, splits, CosineSettings(back_end=names), ("eer",), segments=segments)

    result, found = compared(["none", "plda"], vectors, labels)
    plain, _ = compared(["none"], vectors, labels)
    assert result.folds[0].chosen["back_end"] == "plda"
    assert result.scores["file"]["eer"][0] < plain.scores["file"]["eer"][0] - 0.1
    others = np.r_[splits[0].valid, splits[0].test]
    moved, turned = vectors.copy(), labels.copy()
    moved[splits[0].test[1:]] *= -2
    turned[others] = np.random.default_rng(0).permutation(turned[others])
    again, changed = compared(["plda"], moved, labels), compared(["plda"], vectors, turned)
    assert again[0].folds[0].chosen["valid"] == result.folds[0].chosen["valid"]
    if segments == 1:
        assert np.array_equal(changed[1][0].score, found[0].score)


def test_several_clips_that_stand_for_an_identity_count_as_many():
    vectors, labels, splits = channels()
    _, found = run_comparison(vectors, labels, splits, CosineSettings(back_end=["plda"]), ("eer",), segments=100)
    train = splits[0].train
    ((_, back_end),) = fit_back_ends(vectors[train], labels[train], ["plda"])
    model, clips = back_end.plda, back_end.map(vectors)
    for clip, other, score in list(zip(found[0].clip, found[0].other, found[0].score, strict=True))[::97]:
        stands = clips[[i for i in splits[0].test if labels[i] == labels[other] and i != clip]]
        parts = model.mean, model.between, model.within
        expected = density(np.vstack([stands, clips[clip]]), *parts) - density(stands, *parts)
        assert score == pytest.approx(expected - density(clips[clip][None], *parts), rel=1e-4, abs=1e-4)


def test_results_are_keyed_by_its_code(tmp_path, monkeypatch):
    source, copy = keys._source, tmp_path / "changed.py"
    before = code_version("benchmark.engine.probe_job")
    copy.write_text(source(module.__name__).read_text("utf-8") + "\nCHANGED = 1\n", "utf-8")
    monkeypatch.setattr(keys, "_source", lambda name: copy if name == module.__name__ else source(name))
    keys._module.cache_clear()
    after = code_version("benchmark.engine.probe_job")
    keys._module.cache_clear()
    assert after != before
