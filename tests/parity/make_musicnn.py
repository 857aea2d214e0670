"""Run the musicnn package on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_musicnn MUSICNN

MUSICNN is the unpacked wheel of musicnn 0.1.0. Needs tensorflow with tf_keras, and librosa. The package's cast of the
mel spectrum to float16 is left out.
"""

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np

from tests.parity.checkpoints import musicnn_variables, noisy_waveform

# Shorter than a patch, one with a rest, one of two patches.
LENGTHS = (20_000, 60_001, 95_500)


def patches(waveform: np.ndarray) -> np.ndarray:
    """Patches (B, 187, 96) as the package's `batch_data` cuts them; a shorter clip is completed with zeros."""
    import librosa

    waveform = np.pad(waveform, (0, max(0, 186 * 256 - len(waveform))))
    mel = librosa.feature.melspectrogram(y=waveform, sr=16_000, hop_length=256, n_fft=512, n_mels=96).T
    log_mel = np.log10(10_000 * mel + 1)
    return np.stack([log_mel[start : start + 187] for start in range(0, len(log_mel) - 186, 187)])


def main(path: str) -> None:
    sys.path.insert(0, path)
    import tensorflow as tf
    from musicnn import models

    tf.compat.v1.disable_eager_execution()
    batches = [patches(noisy_waveform(samples, 16_000)) for samples in LENGTHS]
    outputs = {"log_mel": batches[0][0]}
    for model in ("MTT_musicnn", "MTT_vgg"):
        tf.compat.v1.reset_default_graph()
        x = tf.compat.v1.placeholder(tf.float32, [None, 187, 96])
        tensors = models.define_model(x, False, model, 50)
        seeded = musicnn_variables(vgg=model == "MTT_vgg")
        with tf.compat.v1.Session() as session:
            for variable in tf.compat.v1.global_variables():
                variable.load(seeded.pop(variable.name.removesuffix(":0")), session)
            assert not seeded, seeded.keys()
            for i, batch in enumerate(batches):
                values = session.run(tensors, {x: batch})
                if model == "MTT_vgg":
                    given = {"logits": values[0], "pool5": values[5].reshape(len(batch), -1)}
                else:
                    names = ("logits", *[None] * 5, "mean_pool", "max_pool", "penultimate")
                    given = {name: value for name, value in zip(names, values, strict=True) if name}
                outputs |= {f"{model}-{name}-{i}": value for name, value in given.items()}
    np.savez_compressed(Path(__file__).parent / "data" / "musicnn.npz", **outputs)
    for name, values in outputs.items():
        print(name, values.shape, float(values.mean()), float(values.std()))


if __name__ == "__main__":
    main(*sys.argv[1:])
