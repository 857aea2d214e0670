"""Run the authors' YAMNet on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_yamnet YAMNET

YAMNET is the folder research/audioset/yamnet of tensorflow/models. Needs tensorflow with tf_keras.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np

from tests.parity.checkpoints import noisy_waveform, write_keras_h5, yamnet_layers

# Shorter than a patch, one that needs padding, one of whole hops.
LENGTHS = (4_000, 20_001, 15_600 + 3 * 7_680)


def main(path: str) -> None:
    sys.path.insert(0, path)
    import params
    import yamnet

    model = yamnet.yamnet_frames_model(params.Params())
    with tempfile.TemporaryDirectory() as folder:
        model.load_weights(write_keras_h5(Path(folder) / "yamnet.h5", yamnet_layers()))
    outputs = {}
    for i, samples in enumerate(LENGTHS):
        given = model(noisy_waveform(samples, 16_000))
        # Older versions give a tuple in this order.
        _, embeddings, log_mel = (
            given[:3]
            if isinstance(given, list | tuple)
            else (
                None,
                given["embeddings"],
                given["log_mel_spectrogram"],
            )
        )
        outputs[f"embeddings-{i}"] = embeddings.numpy()
        if i == 0:
            outputs["log_mel-0"] = log_mel.numpy()[:96]
    np.savez_compressed(Path(__file__).parent / "data" / "yamnet.npz", **outputs)
    for name, values in outputs.items():
        print(name, values.shape, float(values.mean()), float(values.std()))


if __name__ == "__main__":
    main(*sys.argv[1:])
