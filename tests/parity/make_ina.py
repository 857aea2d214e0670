"""Run inaSpeechSegmenter 0.6.8 on seeded audio, and store what its three networks give.

Usage: python -m tests.parity.make_ina WHEEL

WHEEL is the unpacked wheel, which holds the weights. Needs tensorflow, soundfile, scipy and scikit-image; the front
end and the patches are the package's own functions, the networks are read by Keras.
"""

import sys
import tempfile
import types
from pathlib import Path

import numpy as np

from tests.parity.seeded import seeded_waveform

SAMPLE_RATE = 16_000
# Shorter than a patch of 68 frames; an odd and an even number of frames.
LENGTHS = (8_000, 16_413, 24_000)
BANDS = {"sm": 21, "smn": 21, "gender": 24}
FILES = {"sm": "speech_music", "smn": "speech_music_noise", "gender": "male_female"}
# Every so many frames the 512 numbers of the hidden layer are kept; the probabilities are kept for each frame.
STEP = 3


def _package(wheel: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """The package's modules of features and of segmentation, made to run with today's NumPy."""
    np.int = int  # noqa: NPY001
    np.lib.pad = np.pad
    # The Viterbi decoder and the writers work on the networks' outputs and are not needed to see them.
    unused = {"pyannote.algorithms.utils.viterbi": ("viterbi_decoding", "VITERBI_CONSTRAINT_NONE")}
    unused |= dict.fromkeys(("pyannote", "pyannote.algorithms", "pyannote.algorithms.utils"), ())
    unused["inaSpeechSegmenter.export_funcs"] = ("seg2csv", "seg2textgrid")
    for name, functions in unused.items():
        sys.modules[name] = types.ModuleType(name)
        for function in functions:
            setattr(sys.modules[name], function, None)
    package = types.ModuleType("inaSpeechSegmenter")
    package.__path__ = [str(wheel / "inaSpeechSegmenter")]
    sys.modules["inaSpeechSegmenter"] = package
    from inaSpeechSegmenter import features, segmenter

    return features, segmenter


def main(wheel: Path) -> None:
    import soundfile
    from tensorflow import keras

    features, segmenter = _package(wheel)
    kept = {}
    for model, name in FILES.items():
        net = keras.models.load_model(wheel / "inaSpeechSegmenter" / f"keras_{name}_cnn.hdf5", compile=False)
        flatten = next(i for i, layer in enumerate(net.layers) if isinstance(layer, keras.layers.Flatten))
        last = max(i for i, layer in enumerate(net.layers) if isinstance(layer, keras.layers.Dense))
        for length in LENGTHS:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "audio.wav"
                soundfile.write(path, seeded_waveform(length, SAMPLE_RATE), SAMPLE_RATE, subtype="FLOAT")
                mspec, _, difflen = features._wav2feats(str(path))
            patches, finite = segmenter._get_patches(mspec[:, : BANDS[model]].copy(), 68, 2)
            if difflen > 0:
                patches = patches[: -int(difflen / 2)]
            if not finite.all():
                raise RuntimeError("the signal has a patch that is not finite")
            x, outputs = patches.astype(np.float32), {}
            for position, layer in enumerate(net.layers):
                x = np.asarray(layer(x, training=False))
                if position == flatten:
                    outputs["conv"] = x
                if position == last - 1:
                    outputs["penultimate"] = x
            kept[f"{model}/{length}/probabilities"] = x
            kept[f"{model}/{length}/penultimate"] = outputs["penultimate"][::STEP]
            kept[f"{model}/{length}/conv"] = outputs["conv"][:: 8 * STEP]
            if model == "gender":
                kept[f"mspec/{length}"] = np.asarray(mspec, np.float32)[::STEP]
    path = Path(__file__).with_name("data") / "ina.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **kept)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
