"""Run Resemblyzer 0.1.4 on seeded audio, and store what it gives.

Usage: python -m tests.parity.make_ge2e WHEEL

WHEEL is the unpacked wheel, which holds the weights. Needs torch and librosa. The volume is normalised as the package
does it; its voice activity detection, the compiled webrtcvad, is left out.
"""

import sys
import types
from pathlib import Path

import numpy as np

from tests.parity.seeded import seeded_waveform

SAMPLE_RATE = 16_000
# Shorter than a partial of 1.6 s; two partials, the second completed with zeros; a last partial that is dropped.
LENGTHS = (8_000, 32_000, 60_000)
# The second one lies below the level to which the package raises quiet clips.
GAINS = (1.0, 0.01)


def _package(wheel: Path) -> tuple[types.ModuleType, types.ModuleType]:
    """The package's modules of audio and of the encoder, without its compiled dependency."""
    sys.modules["webrtcvad"] = types.ModuleType("webrtcvad")
    # SciPy has moved this function, which only the voice activity detection uses.
    morphology = types.ModuleType("scipy.ndimage.morphology")
    morphology.binary_dilation = None
    sys.modules[morphology.__name__] = morphology
    sys.path.insert(0, str(wheel))
    from resemblyzer import audio, voice_encoder

    return audio, voice_encoder


def main(wheel: Path) -> None:
    audio, voice_encoder = _package(wheel)
    encoder = voice_encoder.VoiceEncoder("cpu", verbose=False)
    kept = {}
    for gain in GAINS:
        for length in LENGTHS:
            waveform = gain * seeded_waveform(length, SAMPLE_RATE)
            waveform = audio.normalize_volume(waveform, audio.audio_norm_target_dBFS, increase_only=True)
            utterance, partials, slices = encoder.embed_utterance(waveform, return_partials=True)
            kept[f"{gain}/{length}/utterance"] = utterance.astype(np.float32)
            kept[f"{gain}/{length}/partials"] = partials
            kept[f"{gain}/{length}/starts"] = np.array([part.start for part in slices])
    path = Path(__file__).with_name("data") / "ge2e.npz"
    np.savez_compressed(path, **kept)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
