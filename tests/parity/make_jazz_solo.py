"""Outputs of the jazz-solo CNN in Keras for seeded weights, on the authors' features, stored in data/jazz_solo.npz.

    KERAS_BACKEND=jax python -m tests.parity.make_jazz_solo PATH

PATH is a checkout of juansgomez87/jazz-show-case. Needs keras 3 with one of its backends, librosa and matplotlib. The
authors' librosa (0.5) reflected at the ends of a clip and lacked keyword-only arguments: the recipe puts that back.
"""

import functools
import json
import sys
import types
from pathlib import Path

import numpy as np

from tests.parity.checkpoints import kernel_and_bias, noisy_waveform

SAMPLE_RATE = 22050
SECONDS = (0.4, 1.6, 4.0)
LEAST = 42 * 512


def jazz_layers() -> dict[str, dict[str, np.ndarray]]:
    """Seeded weights under the layer names of the published files."""
    sizes = (1, 32, 32, 64, 64, 128, 128, 256, 256)
    layers = {
        f"b{i // 2 + 1}_c{i % 2 + 1}": kernel_and_bias(f"jazz/conv{i}", 3, 3, sizes[i], sizes[i + 1]) for i in range(8)
    }
    layers["b5_fc1"] = kernel_and_bias("jazz/dense", 256, 1024)
    layers["dense_3"] = kernel_and_bias("jazz/output", 1024, 6)
    return layers


def waveform(seconds: float) -> np.ndarray:
    """The test clip; one shorter than a segment is completed with zeros, where the authors' code has no segment."""
    wave = noisy_waveform(round(seconds * SAMPLE_RATE), SAMPLE_RATE)
    return np.pad(wave, (0, max(0, LEAST - len(wave))))


def main(path: str) -> None:
    sys.path.insert(0, path)
    # A plotting function that newer versions of matplotlib lack.
    sys.modules["mpl_toolkits.axes_grid1.colorbar"] = types.SimpleNamespace(colorbar=None)
    import keras
    import librosa
    import main as demo

    librosa.stft = functools.partial(librosa.stft, pad_mode="reflect")
    config = json.loads((Path(path) / "models" / "model_transfer_solo.json").read_text())
    config = json.loads(config) if isinstance(config, str) else config
    layers = config["config"] if isinstance(config["config"], list) else config["config"]["layers"]
    net = keras.Sequential(
        [keras.Input((1, 128, 43))] + [_layer(keras, layer) for layer in layers if "Input" not in layer["class_name"]]
    )
    for name, weights in jazz_layers().items():
        net.get_layer(name).set_weights(list(weights.values()))
    read_out = keras.Model(net.inputs, net.get_layer("b5_a1").output)
    arrays = {}
    for seconds in SECONDS:
        _, segments = demo.create_spectrogram(waveform(seconds))
        arrays[f"seconds_{seconds}"] = read_out.predict(segments, verbose=0)
    np.savez_compressed(Path(__file__).parent / "data" / "jazz_solo.npz", **arrays)


def _layer(keras, layer: dict):
    wanted = {
        "filters",
        "kernel_size",
        "padding",
        "activation",
        "units",
        "pool_size",
        "strides",
        "rate",
        "data_format",
        "name",
    }
    values = {key: value for key, value in layer["config"].items() if key in wanted}
    return getattr(keras.layers, layer["class_name"])(**values)


if __name__ == "__main__":
    main(sys.argv[1])
