"""Resemblyzer 0.1.4 with the weights in its wheel: needs it (`--no-deps` does), torch, librosa and webrtcvad.

Its users' path: `preprocess_wav(file)` (decode, resample, level, remove long silences by webrtcvad), `embed_utterance`.
"""

import sys
import types

from serve import Loaded, serve


def load(threads: int) -> Loaded:
    import torch
    from scipy import ndimage

    torch.set_num_threads(threads)
    # SciPy has moved this function.
    moved = types.ModuleType("scipy.ndimage.morphology")
    moved.binary_dilation = ndimage.binary_dilation
    sys.modules[moved.__name__] = moved
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)

    def embed(file: str) -> object:
        return encoder.embed_utterance(preprocess_wav(file))

    return embed, "librosa's decoding and resampling, webrtcvad, librosa's mel, the network"


if __name__ == "__main__":
    serve(load)
