"""Run the authors' randomly weighted CNNs on seeded weights and audio, and store the means of their feature maps.

Usage: python -m tests.parity.make_random_cnn ELMARC

ELMARC is a checkout of jordipons/elmarc. Needs tensorflow with tf_keras, and librosa.
"""

import os
import sys
import types
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np

from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_array

N = 8
# Seconds of audio: less than a stretch, one stretch and a little, two stretches.
LENGTHS = (20_000, 49_000, 96_300)
FRAMES, LONG_FRAMES, SAMPLES = 188, 1376, 48_000

# Our model: the authors' architecture, which of its outputs are features, and further settings.
ARCHITECTURES = {
    "timbral-temporal": ("cnn_music", [0, 1], {}),
    "small-filters": ("cnn_small_filters", [0, 1, 2, 3, 4], {"n_frames": LONG_FRAMES}),
    "7x96": ("cnn_single", [0], {"filter_shape": [7, 96], "pool_shape": [1, 1]}),
    "7x86": ("cnn_single", [1], {"filter_shape": [7, 86], "pool_shape": [1, 11]}),
    "sample-level": ("sample_level", [0, 1, 2, 3, 4, 5, 6], {}),
    "frame-level": ("frame_level", [0, 1, 2, 3], {}),
    "frame-level-many": ("frame_level_many", [0, 1, 2, 3, 4, 5, 6, 7], {}),
}


def seeded_layer(model: str, position: int, kernel_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of the layer at `position`, in TensorFlow's layout."""
    name = f"random/{model}/{position}"
    return seeded_array(f"{name}/kernel", kernel_shape, 1.4), seeded_array(f"{name}/bias", kernel_shape[-1:])


def fixed_length(x: np.ndarray, length: int) -> np.ndarray:
    """Crop (T, ...), or repeat it if it is shorter, as the authors' `repeat-pad` does."""
    return np.concatenate([x] * (1 + length // len(x)))[:length]


def spectrogram(waveform: np.ndarray) -> np.ndarray:
    """The authors' input (T, 96) in dB."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=waveform, sr=12_000, hop_length=256, n_fft=512, n_mels=96, power=2, fmin=0.0, fmax=6000.0
    )
    return librosa.power_to_db(mel.T)


def main(path: str) -> None:
    import tensorflow as tf

    # The code was written for TensorFlow 1.
    old = tf.compat.v1
    initializer = types.SimpleNamespace(variance_scaling_initializer=lambda: None)
    old.contrib = types.SimpleNamespace(layers=initializer)
    sys.modules["tensorflow"] = old
    old.disable_eager_execution()
    sys.path.insert(0, str(Path(path) / "src"))
    import dl_models

    outputs = {}
    for model, (architecture, selected, settings) in ARCHITECTURES.items():
        waveform_model = "level" in model
        old.reset_default_graph()
        shape = [None, SAMPLES, 1] if waveform_model else [None, None, 96]
        config = {"architecture": architecture, "num_filters": N, "n_frames": FRAMES, "n_mels": 96} | settings
        x = old.placeholder(tf.float32, shape)
        maps = dl_models.build({"CNN": config}, x)
        with old.Session() as session:
            variables = old.global_variables()
            for position, (kernel, bias) in enumerate(zip(variables[::2], variables[1::2], strict=True)):
                for variable, value in zip(
                    (kernel, bias), seeded_layer(model, position, tuple(kernel.shape)), strict=True
                ):
                    variable.load(value, session)
            for i, samples in enumerate(LENGTHS):
                waveform = noisy_waveform(samples, 12_000)
                given = (
                    fixed_length(waveform, SAMPLES)[:, None]
                    if waveform_model
                    else fixed_length(spectrogram(waveform), config["n_frames"])
                )
                values = [session.run(maps, {x: given[None]})[j][0] for j in selected]
                # The back end's maps are transposed: (T, maps, 1).
                values = [v[..., 0] if v.ndim == 3 and v.shape[-1] == 1 else v for v in values]
                means = [v.reshape(-1, v.shape[-1]).mean(axis=0) for v in values]
                outputs[f"{model}_{i}"] = np.concatenate(means)
    np.savez_compressed(Path(__file__).parent / "data" / "random_cnn.npz", **outputs)
    for name, values in outputs.items():
        print(name, values.shape, float(values.mean()), float(values.std()))


if __name__ == "__main__":
    main(*sys.argv[1:])
