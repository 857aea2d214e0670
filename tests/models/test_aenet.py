import numpy as np
import pytest
import torch
from scipy.signal import convolve

from benchmark.models.aenet import AENet, load_lasagne
from tests.parity.seeded import seeded_array

FRAMES, BANDS, HIDDEN = 24, 22, 8


def lasagne_arrays(net: AENet) -> list[np.ndarray]:
    """Seeded arrays in Lasagne's order and layout."""
    arrays = []
    for name in ("conv1a", "conv1b", "conv2a", "conv2b", "fc5", "fc6", "prob"):
        shape = tuple(getattr(net, name).weight.shape)
        array = seeded_array(f"{name}/W", shape, 1.4)
        arrays += [array if len(shape) == 4 else array.T, seeded_array(f"{name}/b", shape[:1])]
    return arrays


def convolved(x: np.ndarray, kernels: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Maps (C, T, F) through Theano's convolution, which turns its kernels, and a ReLU."""
    maps = [sum(convolve(c, k, "valid") for c, k in zip(x, kernel, strict=True)) for kernel in kernels]
    return np.maximum(np.stack(maps) + bias[:, None, None], 0)


def pooled(x: np.ndarray, time: int, band: int) -> np.ndarray:
    c, t, f = x.shape
    x = x[:, : t // time * time, : f // band * band]
    return x.reshape(c, t // time, time, f // band, band).max(axis=(2, 4))


def test_agrees_with_the_layers_written_out():
    net = AENet(classes=5, frames=FRAMES, bands=BANDS, hidden=HIDDEN).eval()
    arrays = lasagne_arrays(net)
    load_lasagne(net, arrays)
    x = np.random.default_rng(0).standard_normal((3, FRAMES, BANDS)).astype(np.float32)
    h = pooled(convolved(convolved(x, *arrays[0:2]), *arrays[2:4]), 1, 2)
    h = pooled(convolved(convolved(h, *arrays[4:6]), *arrays[6:8]), 2, 2).ravel()
    h = np.maximum(h @ arrays[8] + arrays[9], 0)
    h = np.maximum(h @ arrays[10] + arrays[11], 0)
    with torch.inference_mode():
        embedding = net.embed(torch.from_numpy(x)[None])[0].numpy()
        logits = net(torch.from_numpy(x)[None])[0].numpy()
    assert np.abs(embedding - h).max() < 1e-4 * np.abs(h).max()
    assert np.allclose(logits, h @ arrays[12] + arrays[13], atol=1e-4)


def test_has_the_published_sizes():
    with torch.device("meta"):
        net = AENet()
    assert sum(p.numel() for p in net.parameters()) == 114_599_017
    assert net.fc5.in_features == 110_592


def test_wrong_arrays_are_refused_by_layer():
    net = AENet(classes=5, frames=FRAMES, bands=BANDS, hidden=HIDDEN)
    arrays = lasagne_arrays(net)
    with pytest.raises(ValueError, match="14"):
        load_lasagne(net, arrays[:-2])
    arrays[4] = arrays[4][:, :32]
    with pytest.raises(ValueError, match="conv2a"):
        load_lasagne(net, arrays)
