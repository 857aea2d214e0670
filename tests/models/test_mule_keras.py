"""MULE's weights as its authors publish them, and their own network."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from benchmark.embeddings.formats import read_keras_graph
from benchmark.errors import UserError
from benchmark.models.keras_layout import KerasLayer
from benchmark.models.mule_keras import load_mule_keras
from benchmark.models.slowfast_nfnet import MuleSlowfast
from tests.parity.checkpoints import relative_error
from tests.parity.make_mule import seeded_mule
from tests.parity.make_mule_keras import kind_of, seeded_slices, seeded_weight

DATA = Path(__file__).parents[1] / "parity" / "data"
LAYOUT = json.loads((DATA / "mule_keras.json").read_text())
KINDS = LAYOUT["kinds"] | {name: kind for name, kind, *_ in LAYOUT["layers"]}
OUTPUTS = np.load(DATA / "mule_keras.npz")["outputs"]


def authors_layers(fill) -> dict[str, KerasLayer]:
    """The layers of the file that Keras writes of the authors' model, with `fill(prefix, name, shape)` as weights."""
    weights = {
        name: {one: fill(prefix, one, tuple(shape)) for one, shape in zip(names, shapes, strict=True)}
        for name, _, prefix, names, shapes in LAYOUT["layers"]
    }
    return {n: KerasLayer(kind, tuple(LAYOUT["ends"].get(n, ())), weights.get(n, {})) for n, kind in KINDS.items()}


def seeded(prefix: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return seeded_weight(prefix, shape, kind_of(name, len(shape)))


def zeros(prefix: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_the_authors_file_fills_the_network_and_it_agrees_with_theirs():
    net = MuleSlowfast().eval()
    load_mule_keras(net, authors_layers(seeded))
    for key, value in net.state_dict().items():
        assert np.array_equal(value.numpy(), seeded_mule(key, tuple(value.shape))), key
    with torch.inference_mode():
        embedding = net(torch.from_numpy(seeded_slices())).numpy()
    assert relative_error(embedding, OUTPUTS) < 1e-4


@pytest.fixture(scope="module")
def empty():
    return authors_layers(zeros)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda found: found.pop("weight_standardization_9"), "119 layers WeightStandardization, expected 120"),
        (lambda found: found.update(projector_0=KerasLayer("Normalization", (), {"w": np.ones(1)})), "projector_0"),
        (
            lambda found: found.update(stoch_depth=KerasLayer("StochDepth", ("dense",), {})),
            "layer stoch_depth: no gain",
        ),
        (
            lambda found: found.update(dense_3=KerasLayer("Dense", (), {"dense_3/kernel:0": np.ones((2, 2))})),
            "layer dense_3: weights",
        ),
        (
            lambda found: found["dense_3"].arrays.update({"dense_3/bias:0": np.ones(7, np.float32)}),
            r"key slow_stages.1.blocks.0.se.fc2.bias: shape \(7,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(empty, change, named):
    layers = {name: KerasLayer(one.kind, one.feeds, dict(one.arrays)) for name, one in empty.items()}
    change(layers)
    with torch.device("meta"):
        net = MuleSlowfast()
    with pytest.raises(ValueError, match=named):
        load_mule_keras(net, layers)


def test_reads_the_graph_of_a_model(tmp_path):
    path = tmp_path / "model.keras"
    described = [
        {"class_name": "InputLayer", "name": "input_1", "inbound_nodes": []},
        {"class_name": "Dense", "name": "dense", "inbound_nodes": [[["input_1", 0, 0, {}]]]},
        {"class_name": "StochDepth", "name": "end", "inbound_nodes": [[["dense", 0, 0, {}], ["input_1", 0, 0, {}]]]},
    ]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": {"layers": described}})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"input_1", b"dense"]
        group.create_group("input_1").attrs["weight_names"] = []
        dense = group.create_group("dense")
        dense.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        dense["dense/kernel:0"], dense["dense/bias:0"] = np.ones((2, 3), np.float32), np.zeros(3, np.float32)
    layers = read_keras_graph(path)
    assert {name: (one.kind, one.feeds) for name, one in layers.items()} == {
        "input_1": ("InputLayer", ()),
        "dense": ("Dense", ("input_1",)),
        "end": ("StochDepth", ("dense", "input_1")),
    }
    assert {name: array.shape for name, array in layers["dense"].arrays.items()} == {
        "dense/kernel:0": (2, 3),
        "dense/bias:0": (3,),
    }
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match=r"model\.keras: not a Keras model in HDF5"):
        read_keras_graph(path)
