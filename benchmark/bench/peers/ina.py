"""inaSpeechSegmenter 0.6.8: needs it, TensorFlow with tf_keras, scikit-image, and ffmpeg or imageio-ffmpeg.

Its users' path up to the posteriors: ffmpeg to a WAV file at 16 kHz, features, patches, Keras in its batches of 32. The
Viterbi smoothing behind them, whose package no longer installs everywhere, is replaced by the greatest posterior.
"""

import importlib.util
import os
import shutil
import sys
import types
from pathlib import Path

from serve import Loaded, serve


def load(threads: int) -> Loaded:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    # Names that NumPy has given up.
    np.int = int  # noqa: NPY001
    np.lib.pad = np.pad
    stand_ins: dict[str, dict[str, object]] = {
        "pyannote": {},
        "pyannote.algorithms": {},
        "pyannote.algorithms.utils": {},
        "pyannote.algorithms.utils.viterbi": {
            "viterbi_decoding": lambda posteriors, transitions: posteriors.argmax(axis=1),
            "VITERBI_CONSTRAINT_NONE": 0,
        },
        "inaSpeechSegmenter": {},
        "inaSpeechSegmenter.export_funcs": {"seg2csv": None, "seg2textgrid": None},
    }
    spec = importlib.util.find_spec("inaSpeechSegmenter")
    assert spec is not None and spec.origin is not None, "inaSpeechSegmenter is not installed"
    for name, parts in stand_ins.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(parts)
    sys.modules["inaSpeechSegmenter"].__path__ = [str(Path(spec.origin).parent)]
    from inaSpeechSegmenter import features, segmenter

    network = segmenter.SpeechMusic(32)
    predict = network.nn.predict
    network.nn.predict = lambda batch, batch_size: predict(batch, batch_size=batch_size, verbose=0)

    def embed(file: str) -> object:
        mspec, loge, missing = features.media2feats(file, None, None, None, _ffmpeg())
        return network(mspec, [("energy", 0, (len(loge) + 1) // 2)], missing)

    return embed, "ffmpeg to 16 kHz, its features and patches, Keras in batches of 32, all of the file; no Viterbi"


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        import imageio_ffmpeg

        found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


if __name__ == "__main__":
    serve(load)
