"""Run the openl3 package on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_openl3 OPENL3 KAPRE_0_1_4

OPENL3 is a checkout of the package at v0.4.2, KAPRE_0_1_4 an unpacked source distribution of that version of kapre,
which computes the legacy front end. Needs tensorflow with tf_keras, kapre 0.3.7, resampy, librosa, scikit-learn and
soundfile, but not openl3's own weights.
"""

import os
import sys
import tempfile
import types
from functools import partial
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np

from tests.parity.checkpoints import noisy_waveform, openl3_layers, write_keras_h5

# Shorter than a window even when centred, one that needs padding, one of whole hops.
LENGTHS = (14_400, 36_123, 72_000)
HOP_S = 0.25


def legacy_spectrograms(kapre: str, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Spectrograms (B, F, T, 1) of windows (B, 1, 48000) as openl3 up to 0.3 computes them, by representation."""
    import librosa
    import tf_keras
    from tf_keras.src.utils import conv_utils

    # kapre 0.1.4 was written for stand-alone Keras 2; norm=1 was the name of Slaney's normalisation.
    engine = types.ModuleType("keras.engine")
    engine.Layer = tf_keras.layers.Layer
    engine.InputSpec = tf_keras.layers.InputSpec
    stand_in = {
        "keras": tf_keras,
        "keras.backend": tf_keras.backend,
        "keras.engine": engine,
        "keras.utils.conv_utils": conv_utils,
    }
    before = {name: sys.modules.get(name) for name in stand_in}
    sys.modules.update(stand_in)
    sys.path.insert(0, kapre)
    from kapre import backend, time_frequency

    backend.mel = lambda sr, n_dft, n_mels, fmin, fmax, htk, norm: librosa.filters.mel(
        sr=sr, n_fft=n_dft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm="slaney"
    )
    layers = {
        "linear": time_frequency.Spectrogram(
            n_dft=512, n_hop=242, padding="valid", power_spectrogram=1.0, return_decibel_spectrogram=True
        )
    }
    for n_mels in (128, 256):
        layers[f"mel{n_mels}"] = time_frequency.Melspectrogram(
            sr=48000,
            n_mels=n_mels,
            n_dft=2048,
            n_hop=242,
            htk=True,
            padding="same",
            power_melgram=1.0,
            return_decibel_melgram=True,
        )
    spectrograms = {name: layer(windows).numpy() for name, layer in layers.items()}
    sys.path.remove(kapre)
    for name in [name for name in sys.modules if name.split(".")[0] == "kapre"]:
        del sys.modules[name]
    for name, module in before.items():
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module
    return spectrograms


def main(openl3_path: str, kapre_path: str) -> None:
    sys.path.insert(0, openl3_path)
    import librosa
    from openl3 import core, models

    waveforms = [noisy_waveform(samples, 48_000) for samples in LENGTHS]
    windows = core.preprocess_audio(waveforms[1], 48_000, hop_size=HOP_S)
    legacy = legacy_spectrograms(kapre_path, windows)
    # The package's librosa front end dates from librosa 0.8, which padded by reflection.
    librosa.feature.melspectrogram = partial(librosa.feature.melspectrogram, pad_mode="reflect")
    outputs = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = str(write_keras_h5(Path(folder) / "openl3.h5", openl3_layers()))
        for representation in ("linear", "mel128", "mel256"):
            for size in (512, 6144):
                model = models.load_audio_embedding_model_from_path(weights, representation, size)
                for i, waveform in enumerate(waveforms if size == 512 else waveforms[:1]):
                    outputs[f"kapre-{representation}-{size}-{i}"], _ = core.get_audio_embedding(
                        waveform, 48_000, model=model, hop_size=HOP_S, verbose=False
                    )
            model = models.load_audio_embedding_model_from_path(weights, representation, 512, frontend="librosa")
            outputs[f"librosa-{representation}-512-1"], _ = core.get_audio_embedding(
                waveforms[1],
                48_000,
                model=model,
                hop_size=HOP_S,
                frontend="librosa",
                input_repr=representation,
                verbose=False,
            )
            outputs[f"legacy-{representation}-512-1"] = model.predict(legacy[representation], verbose=0)
    np.savez_compressed(Path(__file__).parent / "data" / "openl3.npz", **outputs)
    for name, values in outputs.items():
        print(name, values.shape, float(values.mean()), float(values.std()))


if __name__ == "__main__":
    main(*sys.argv[1:])
