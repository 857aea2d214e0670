"""Outputs of the authors' own network of MULE for seeded weights, and how Keras lays its weights out in a file.

    TF_USE_LEGACY_KERAS=1 python -m tests.parity.make_mule_keras PATH

PATH is a checkout of PandoraMedia/music-audio-representations. Needs TensorFlow and tf_keras. Stores data/mule_keras.npz
(outputs) and data/mule_keras.json: for each layer of the HDF5 file with weights its weights' names and the key of ours that
it belongs to (by the authors' objects, not by names), and what the layers around a block's end are fed by.
"""

import json
import sys
import tempfile
import types
from pathlib import Path

import numpy as np

from tests.parity.make_mule import seeded_mule
from tests.parity.seeded import seeded_array

DATA = Path(__file__).parent / "data"
SLICES = 2


def seeded_slices() -> np.ndarray:
    """Standardised slices (n, 96, 300)."""
    slices = seeded_array("mule/slices", (SLICES, 96, 300), 1.0).astype(np.float64)
    centred = slices - slices.mean(axis=(1, 2), keepdims=True)
    return (centred / centred.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def authors_network(path: str):
    """Their object with all layers, and the Keras model of it; their frame for configurations is not needed."""
    import tensorflow as tf

    scooch = types.ModuleType("scooch")
    scooch.Param = lambda kind, default=None, doc="": default
    model = types.ModuleType("mule.models.model")
    model.Model = type("Model", (), {})
    packages = {name: types.ModuleType(name) for name in ("mule", "mule.models")}
    for name, package in packages.items():
        package.__path__ = [str(Path(path, *name.split(".")))]
    sys.modules.update(packages | {"scooch": scooch, "mule.models.model": model})
    from mule.models.sfnfnetf0 import SfNfNetF0

    network = SfNfNetF0()
    network._projector_layers, network._include_fc = [], False
    network._make_layers(None)
    inputs = tf.keras.Input(shape=(96, 300, 1))
    return network, tf.keras.Model(inputs, network._apply_layers(inputs))


def keyed_layers(network) -> dict[str, object]:
    """Their layers with weights by the prefix of our keys."""
    found = {}
    for path in ("slow", "fast"):
        stem = [layer for layer in getattr(network, f"_{path}_stem") if layer.weights]
        found |= {f"{path}_stem.convs.{i}": layer for i, layer in enumerate(stem)}
        for stage, blocks in enumerate(getattr(network, f"_{path}_layers")):
            for number, (_, residual, skip, _) in enumerate(blocks):
                block = f"{path}_stages.{stage}.blocks.{number}"
                convs = [layer for layer in residual if not isinstance(layer, list) and len(layer.weights) == 3]
                found |= {f"{block}.convs.{i}": layer for i, layer in enumerate(convs)}
                found[f"{block}.se.fc1"], found[f"{block}.se.fc2"] = residual[-3][1:]
                found[f"{block}.skip_gain"] = residual[-2]
                found |= {f"{block}.skip_conv": layer for layer in skip if layer.weights}
    for number, fusion in enumerate(network._fusion_layers):
        found |= {f"fusions.{number}.conv{i + 1}": layer for i, layer in enumerate(fusion[:2])}
    return found


def seeded_weight(prefix: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """What our `<prefix>.<kind>` is seeded with, in Keras's layout."""
    ours = tuple(np.transpose(np.empty(shape, dtype=bool), _axes(len(shape))).shape) if kind == "weight" else shape
    key = prefix if prefix.endswith("skip_gain") else f"{prefix}.{kind}"
    array = seeded_mule(key, ours or (1,))
    return np.transpose(array, np.argsort(_axes(len(shape)))) if kind == "weight" else array.reshape(shape)


def _axes(dimensions: int) -> tuple[int, ...]:
    return {4: (3, 2, 0, 1), 2: (1, 0)}[dimensions]


def kind_of(name: str, dimensions: int) -> str:
    """Which of our parameters a Keras weight is."""
    return "weight" if dimensions > 1 else "bias" if "bias" in name else "gain"


def main(path: str) -> None:
    import h5py

    network, model = authors_network(path)
    layers = keyed_layers(network)
    for prefix, layer in layers.items():
        for weight in layer.weights:
            kind = kind_of(weight.name, len(weight.shape))
            weight.assign(seeded_weight(prefix, tuple(weight.shape), kind))
    outputs = model.predict(seeded_slices()[..., None], verbose=0)
    np.savez_compressed(DATA / "mule_keras.npz", outputs=outputs)
    keys = {layer.name: prefix for prefix, layer in layers.items()}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.h5", include_optimizer=False)
        with h5py.File(Path(folder) / "model.h5") as file:
            weights = file["model_weights"]
            names = {name: list(weights[name].attrs["weight_names"]) for name in weights.attrs["layer_names"]}
            shapes = {name: [list(weights[name][one].shape) for one in ones] for name, ones in names.items() if ones}
            graph = json.loads(file.attrs["model_config"])
    ends = {
        layer["name"]: [node[0] for node in layer["inbound_nodes"][0]]
        for layer in graph["config"]["layers"]
        if layer["class_name"] in ("StochDepth", "ScalarMultiply")
    }
    kinds = {layer["name"]: layer["class_name"] for layer in graph["config"]["layers"] if layer["name"] in keys | ends}
    stored = [[name, kinds[name], keys[name], names[name], shapes[name]] for name in shapes]
    text = json.dumps({"layers": stored, "ends": ends, "kinds": {n: kinds[n] for n in ends}}, separators=(",", ":"))
    (DATA / "mule_keras.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
