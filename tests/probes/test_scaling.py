"""Scaling takes its statistics from the training part alone."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from benchmark.probes.scaling import fit_scaling


def _parts():
    features = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32) * 3 + 1000
    features[:, 5] = 7.25
    features[:, 6] = 0
    features[0, 6] = 5
    parts = torch.zeros(2, 300, dtype=torch.bool)
    parts[0, :200] = True
    parts[1, 100:] = True
    return torch.from_numpy(features), parts


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_agrees_with_scikit_learn(kind):
    features, parts = _parts()
    shift, scale = fit_scaling(features, parts, kind)
    for fold in range(2):
        train = features[parts[fold]].double().numpy()
        if kind == "standard":
            reference = StandardScaler().fit(train)
            expected = reference.mean_, reference.scale_
        else:
            reference = MinMaxScaler().fit(train)
            expected = reference.data_min_, 1 / reference.scale_
        np.testing.assert_allclose(shift[fold], expected[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(scale[fold], expected[1], rtol=1e-9)


def test_kehling_is_zero_mean_with_largest_value_one():
    features, parts = _parts()
    shift, scale = fit_scaling(features, parts, "kehling")
    for fold in range(2):
        scaled = (features[parts[fold]].double() - shift[fold]) / scale[fold]
        assert scaled.mean(0).abs().max() < 1e-9
        assert torch.allclose(scaled[:, :5].abs().amax(0), torch.ones(5, dtype=torch.float64))
        assert scaled[:, 5].abs().max() == 0


def test_held_out_rows_do_not_matter():
    features, parts = _parts()
    changed = features.clone()
    changed[~parts[0]] = 5000
    for kind in ("standard", "kehling", "minmax"):
        for one, other in zip(fit_scaling(features, parts, kind), fit_scaling(changed, parts, kind), strict=True):
            torch.testing.assert_close(one[0], other[0], rtol=1e-7, atol=0)


@pytest.mark.parametrize("kind", ["standard", "kehling", "minmax"])
def test_features_in_double_precision_stay_as_they_are(kind):
    features, parts = _parts()
    features = features.double()
    kept = features.clone()
    fit_scaling(features, parts, kind)
    assert torch.equal(kept, features)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="not one of"):
        fit_scaling(*_parts(), "zscore")
