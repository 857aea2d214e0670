"""Outputs of the ACMus networks in Keras for seeded weights, on the authors' features, stored in data/acmus.npz.

    KERAS_BACKEND=jax python -m tests.parity.make_acmus PATH

PATH is a checkout of ACMUS-MIR/ACMus-Models. Needs keras 3 with one of its backends, librosa and soundfile. The
authors' librosa (0.7) reflected at the
ends of a clip where newer ones pad by zeros: the recipe puts that back. The networks are built from the
    configurations in the published files; their weights are replaced, so that nothing of the files ends up in the
    result.
"""

import functools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.parity.checkpoints import kernel_and_bias, noisy_waveform
from tests.parity.seeded import seeded_array

# Rate, window, hop, mel bands, frames and hop of a patch, classes.
PARAMETERS = {"speech_music": (22050, 1024, 342, 80, 140, 140, 4), "ensemble": (12000, 512, 512, 0, 34, 17, 5)}
SECONDS = (1.0, 2.5, 6.0)


def acmus_layers(classes: int) -> dict[str, dict[str, np.ndarray]]:
    """Seeded weights under the layer names of the published files."""
    sizes = (1, 16, 32, 64, 128)
    layers = {
        f"conv2d_{i}" if i else "conv2d": kernel_and_bias(f"acmus/conv{i}", 3, 3, sizes[i], sizes[i + 1])
        for i in range(4)
    }
    layers["dense"] = kernel_and_bias("acmus/dense", 128, 64)
    layers["dense_1"] = kernel_and_bias("acmus/output", 64, classes)
    return layers


def norm_mat(model: str) -> np.ndarray:
    """Seeded means and scales, (2, frames, bands, 1)."""
    _, window, _, bands, frames, _, _ = PARAMETERS[model]
    shape = (frames, bands or window // 2 + 1, 1)
    return np.stack([seeded_array(f"{model}.bias", shape[:1])[:, None, None] + np.zeros(shape), np.full(shape, 0.5)])


def waveform(model: str, seconds: float) -> np.ndarray:
    """The test clip; one shorter than a patch is completed with zeros, where the authors' code raises an error."""
    rate, _, hop, _, frames, _, _ = PARAMETERS[model]
    wave = noisy_waveform(round(seconds * rate), rate)
    return np.pad(wave, (0, max(0, (frames - 1) * hop - len(wave))))


def main(path: str) -> None:
    sys.path.insert(0, path)
    import h5py
    import keras
    import librosa
    import soundfile
    from extract_features import extractSTFT, normalizeFeatures

    librosa.stft = functools.partial(librosa.stft, pad_mode="reflect")
    arrays = {}
    for model, (rate, window, hop, bands, frames, frame_hop, classes) in PARAMETERS.items():
        with h5py.File(Path(path) / "models" / f"{model}.h5") as file:
            config = json.loads(file.attrs["model_config"])
        net = _network(keras, config, norm_mat(model).shape[1:])
        for name, weights in acmus_layers(classes).items():
            net.get_layer(name).set_weights(list(weights.values()))
        outputs = [net.get_layer("dense").output, net.outputs[0]]
        read_out = keras.Model(net.inputs, outputs)
        for seconds in SECONDS:
            with tempfile.TemporaryDirectory() as folder:
                wav, npz = Path(folder) / "clip.wav", Path(folder) / "norm.npz"
                soundfile.write(wav, waveform(model, seconds), rate, subtype="FLOAT")
                np.savez(npz, normMat=norm_mat(model))
                patches, _, _ = extractSTFT(
                    str(wav), 0, winsize=window, hopsize=hop, mel_bands=bands, logSpec=True, desired_sample_rate=rate,
                    patchsize=frames, patchhop=frame_hop,
                )  # fmt: skip
                normalizeFeatures(patches, str(npz))
            dense, softmax = read_out.predict(patches, verbose=0)
            arrays[f"{model}-{seconds}"], arrays[f"{model}-{seconds}-softmax"] = dense, softmax
    np.savez_compressed(Path(__file__).parent / "data" / "acmus.npz", **arrays)


def _network(keras, config: dict, shape: tuple[int, ...]):
    """The layers of a Keras 2 configuration, one after the other, in Keras 3."""
    wanted = {
        "filters",
        "kernel_size",
        "padding",
        "activation",
        "units",
        "pool_size",
        "strides",
        "rate",
        "stddev",
        "name",
    }
    layers = config["config"]["layers"] if isinstance(config["config"], dict) else config["config"]
    built = [keras.Input(shape)]
    for layer in layers:
        values = {key: value for key, value in layer["config"].items() if key in wanted}
        if layer["class_name"] != "InputLayer":
            built.append(getattr(keras.layers, layer["class_name"])(**values))
    return keras.Sequential(built)


if __name__ == "__main__":
    main(sys.argv[1])
