"""Speakers made of eSpeak's variants: who speaks, how high, how fast, through how long a vocal tract."""

from dataclasses import dataclass

import numpy as np
import soxr

from benchmark.datasets.render.espeak import SAMPLE_RATE, speak

# Two sets of variants that share none, so that a voice of the source set is unknown to the target set.
SOURCE_VARIANTS = ("m1", "f1", "m3", "f3", "Alex", "Annie", "Marco", "linda", "paul", "steph")
TARGET_VARIANTS = ("m2", "f2", "m4", "f4", "Andy", "belinda", "Mike", "anika", "victor", "aunty")


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Attributes:
        variant: eSpeak's variant; "" for the language's own voice.
        pitch: 0 to 99.
        pitch_range: 0 to 99.
        rate_wpm: Words a minute.
        tract: Factor on all formants: above 1 a shorter vocal tract. It raises the pitch with it.
    """

    variant: str
    pitch: float = 50.0
    pitch_range: float = 50.0
    rate_wpm: float = 160.0
    tract: float = 1.0

    def varied(self, rng: np.random.Generator, pitch: float = 6.0, rate: float = 0.08) -> "Voice":
        """The same speaker on another day: pitch by a normal deviate, rate by a factor."""
        drawn_pitch = float(np.clip(self.pitch + rng.normal(0, pitch), 0, 99))
        drawn_range = float(np.clip(self.pitch_range + rng.normal(0, 8), 5, 99))
        return Voice(
            self.variant, drawn_pitch, drawn_range, self.rate_wpm * float(np.exp(rng.normal(0, rate))), self.tract
        )


def say(text: str, language: str, voice: Voice) -> np.ndarray:
    """Speech, (samples,) float64 at eSpeak's rate."""
    name = f"{language}+{voice.variant}" if voice.variant else language
    samples = speak(text, name, voice.rate_wpm / voice.tract, voice.pitch, voice.pitch_range)
    # Played faster, all formants move by the same factor, as with a shorter vocal tract.
    return soxr.resample(samples, SAMPLE_RATE * voice.tract, SAMPLE_RATE)


def talk(
    sentences: tuple[str, ...],
    language: str,
    voice: Voice,
    rng: np.random.Generator,
    seconds: float,
    whole: bool = False,
) -> np.ndarray:
    """`seconds` of someone who says sentences in random order.

    Args:
        sentences: What may be said.
        language: eSpeak's code.
        voice: Who.
        rng: Draws the order, the pauses and where the cut begins.
        seconds: Length of the result.
        whole: Start with the first word of a sentence rather than anywhere.
    """
    wanted = round(seconds * SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    spare = 0 if whole else rng.uniform(0, 1.0) * SAMPLE_RATE
    for index in rng.permutation(len(sentences)).tolist() * 8:
        pieces += [say(sentences[index], language, voice), np.zeros(round(rng.uniform(0.1, 0.35) * SAMPLE_RATE))]
        if sum(map(len, pieces)) >= wanted + spare:
            break
    speech = np.concatenate(pieces)
    start = int(min(spare, len(speech) - wanted))
    return speech[start : start + wanted]
