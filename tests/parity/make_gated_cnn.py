"""Outputs of the gated CRNN in Keras for seeded weights, on the authors' features, stored in data/gated_cnn.npz.

    KERAS_BACKEND=jax python -m tests.parity.make_gated_cnn PATH

PATH is a checkout of yongxuUSTC/dcase2017_task4_cvssp, scripts for Python 2 and Keras 2.0. Needs keras 3 with one of
its backends, librosa and SciPy. The recipe takes the statements that build the networks, and those that compute the
features, out of the scripts and runs them with today's packages, with the
recurrence of that Keras put back: the reset gate in front of the recurrent kernel, gates by the hard sigmoid 0.2 x +
    0.5.
"""

import ast
import functools
import os
import pickle
import sys
import tempfile
import time
import types
from pathlib import Path

import numpy as np

from tests.parity.checkpoints import batch_norm, kernel_and_bias, noisy_waveform
from tests.parity.seeded import seeded_array

SAMPLE_RATE = 16000
FRAMES, BANDS = 240, 64
# Less than a window of the STFT is completed with zeros to one window.
SAMPLES = {"tagging": (800, 48000, 200000), "detection": (48000,)}
LEAST = 1024


def gated_layers(model: str) -> dict[str, dict[str, np.ndarray]]:
    """Seeded weights under the layer names that Keras 2 gives to the scripts' networks."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for i in range(1, 8):
        shape = (3, 3, 1 if i == 1 else 64, 128)
        layers[f"conv2d_{i}"] = {"kernel": seeded_array(f"gated/conv{i}/kernel", shape, 1.5)}
        layers[f"batch_normalization_{i}"] = batch_norm(f"gated/norm{i}", 128)
    layers["conv2d_9"] = kernel_and_bias("gated/conv", 3, 3, 64, 256)
    for i in (1, 2):
        layers[f"bidirectional_{i}"] = {
            f"{side}_gru_{i}/{name}": seeded_array(f"gated/{side}{i}/{name}", shape, 0.3)
            for side in ("forward", "backward")
            for name, shape in (("kernel", (256, 384)), ("recurrent_kernel", (128, 384)), ("bias", (384,)))
        }
    layers["localization_layer"] = kernel_and_bias("gated/output", 256, 17)
    if model == "detection":
        layers["time_distributed_1"] = kernel_and_bias("gated/attention", 17, 17)
    return layers


def scaler() -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of the bands, (64,) each."""
    return np.float32(-5.0) + seeded_array("gated.mean", (BANDS,)), seeded_array("gated.variance", (BANDS,))


def waveform(samples: int) -> np.ndarray:
    """The test clip."""
    return noisy_waveform(samples, SAMPLE_RATE)


def main(path: str) -> None:
    import keras

    folder = Path(path)
    arrays = {}
    for model, script in (("tagging", "main_crnn_at.py"), ("detection", "main_crnn_sed.py")):
        net, states = _network(keras, folder, script)
        _fill(keras, net, gated_layers(model))
        read_out = keras.Model(net.inputs, [states, net.output])
        for samples in SAMPLES[model]:
            features = _features(folder, np.pad(waveform(samples), (0, max(0, LEAST - samples))))
            features = np.pad(features, ((0, -len(features) % FRAMES), (0, 0)))
            mean, scale = scaler()
            segments = ((features - mean) / scale).reshape(-1, FRAMES, BANDS)
            vectors, scores = read_out.predict(segments, verbose=0)
            # Detection gives a vector per frame: every eighth is enough to compare.
            arrays[f"{model}_{samples}"] = vectors[:, :: 1 if model == "tagging" else 8].astype(np.float32)
            arrays[f"{model}_{samples}_scores"] = scores
    np.savez_compressed(Path(__file__).parent / "data" / "gated_cnn.npz", **arrays)


def _functions(path: Path, names: set[str]) -> list[ast.stmt]:
    tree = ast.parse(path.read_text())
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]


def _network(keras, folder: Path, script: str):
    """Run the script's own statements from the input layer to the model; gives the model and the gated states."""
    layers, ops = keras.layers, keras.ops

    @keras.saving.register_keras_serializable()
    def keras_2_hard_sigmoid(x):
        return ops.clip(0.2 * x + 0.5, 0, 1)

    gru = functools.partial(layers.GRU, reset_after=False, recurrent_activation=keras_2_hard_sigmoid)

    backend = types.SimpleNamespace(mean=ops.mean, sum=ops.sum, clip=ops.clip)
    scope = {name: getattr(layers, name) for name in dir(layers) if name[0].isupper()}
    scope |= {"GRU": gru, "K": backend, "Model": keras.Model, "Input": keras.Input}
    helpers = {"block", "slice1", "slice2", "slice1_output_shape", "slice2_output_shape"}
    body = _functions(folder / "main_crnn_at.py", helpers) + _functions(folder / script, {"outfunc"})
    exec(compile(ast.Module(body, []), script, "exec"), scope)
    (train,) = _functions(folder / script, {"train"})
    lines = [ast.unparse(node) for node in train.body]
    first = next(i for i, line in enumerate(lines) if line.startswith("input_logmel = "))
    last = next(i for i, line in enumerate(lines) if line.startswith("model = Model("))
    scope |= {"n_time": FRAMES, "n_freq": BANDS, "num_classes": 17}
    exec(compile(ast.Module(train.body[first : last + 1], []), script, "exec"), scope)
    return scope["model"], scope["model"].get_layer("localization_layer").input


def _fill(keras, net, seeded: dict[str, dict[str, np.ndarray]]) -> None:
    """Hand the seeded weights out by kind, in the order in which the layers were made."""
    kinds = {"conv2d": "Conv2D", "batch": "BatchNormalization", "bidirectional": "Bidirectional"}
    for prefix, kind in kinds.items():
        made = [layer for layer in net.layers if type(layer).__name__ == kind]
        given = [list(arrays.values()) for name, arrays in seeded.items() if name.startswith(prefix)]
        for layer, arrays in zip(made, given, strict=True):
            layer.set_weights(arrays)
    net.get_layer("localization_layer").set_weights(list(seeded["localization_layer"].values()))
    attention = [x for x in net.layers if type(x).__name__ == "TimeDistributed" and x.name != "localization_layer"]
    for layer in attention:
        layer.set_weights(list(seeded["time_distributed_1"].values()))


def _features(folder: Path, wave: np.ndarray) -> np.ndarray:
    """Run the script's own `extract_features` on one clip."""
    import librosa
    from scipy import signal

    config: dict = {}
    exec((folder / "config.py").read_text(), config)
    scope = {
        "np": np, "os": os, "time": time, "librosa": librosa, "cPickle": pickle, "create_folder": lambda path: None,
        "signal": types.SimpleNamespace(spectral=signal), "cfg": types.SimpleNamespace(**config),
        "read_audio": lambda path, rate: (wave, rate), "print": functools.partial(print, file=sys.stderr),
    }  # fmt: skip
    exec(
        compile(ast.Module(_functions(folder / "prepare_data.py", {"extract_features"}), []), "prepare", "exec"), scope
    )
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary, "clip.wav").touch()
        scope["extract_features"](temporary, temporary, True)
        return pickle.loads(Path(temporary, "clip.p").read_bytes())


if __name__ == "__main__":
    main(sys.argv[1])
