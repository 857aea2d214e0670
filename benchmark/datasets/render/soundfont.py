"""Parts of a score through the General MIDI soundfont that pretty_midi carries, each on its own, so that stems come for free."""

import functools
from importlib import util
from pathlib import Path

import numpy as np

SAMPLE_RATE = 22050
# Stands for the percussion channel where a General MIDI program (0 to 127) is asked for.
DRUMS = -1
KICK, SNARE, CLOSED_HAT, OPEN_HAT, RIDE, TOM = 36, 38, 42, 46, 51, 45


@functools.cache
def _synthesizer():
    import symusic

    soundfont = Path(util.find_spec("pretty_midi").origin).parent / "TimGM6mb.sf2"
    return symusic.Synthesizer(sf_path=str(soundfont), sample_rate=SAMPLE_RATE, quality=4)


def render_parts(parts: list[np.ndarray], programs: list[int], seconds: float) -> np.ndarray:
    """Render each part alone; their sum is the ensemble.

    Args:
        parts: Arrays (notes, 4): onset and duration in seconds, MIDI pitch, velocity 1 to 127.
        programs: A General MIDI program (0 to 127) a part, or `DRUMS`.
        seconds: Length of the result; what still rings then is cut.

    Returns:
        (parts, samples) float64 at `SAMPLE_RATE`, at the soundfont's own level (a peak may exceed 1).
    """
    import symusic

    samples = round(seconds * SAMPLE_RATE)
    rendered = np.zeros((len(parts), samples))
    for row, notes, program in zip(rendered, parts, programs, strict=True):
        track = symusic.Track(program=max(program, 0), is_drum=program == DRUMS, ttype="second")
        for onset, duration, pitch, velocity in notes:
            track.notes.append(
                symusic.Note(float(onset), float(duration), round(pitch), round(velocity), ttype="second")
            )
        score = symusic.Score(480, ttype="second")
        score.tracks.append(track)
        if len(notes):
            audio = np.asarray(_synthesizer().render(score, stereo=False))[0][:samples]
            row[: len(audio)] = audio
    return rendered


def perform(parts: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Play an excerpt as people do: small errors in time, a dynamic for each part, accents.

    Args:
        parts: Arrays (notes, 3): onset, duration, pitch.
        rng: Draws everything.

    Returns:
        Arrays (notes, 4), as `render_parts` takes them.
    """
    played = []
    for part in parts:
        late = np.abs(rng.normal(0.0, 0.012, len(part)))
        velocity = np.clip(rng.uniform(60, 105) + rng.normal(0, 7, len(part)), 30, 125)
        duration = part[:, 1] * rng.uniform(0.8, 1.0)
        played.append(np.column_stack([part[:, 0] + late, duration, part[:, 2], velocity]))
    return played


def into_range(part: np.ndarray, low: int, high: int) -> np.ndarray:
    """The same part (notes, 3 or 4) by whole octaves as near to the middle of the MIDI range `low` to `high` as it gets."""
    shifted = part.copy()
    if len(part):
        shifted[:, 2] += 12 * np.round(((low + high) / 2 - part[:, 2].mean()) / 12)
        shifted[:, 2] = np.clip(shifted[:, 2], 0, 127)
    return shifted


def balance(parts: np.ndarray, rng: np.random.Generator, spread_db: float = 3.0) -> np.ndarray:
    """Scale parts (parts, samples) to about the same power each; the gains differ by a normal deviate of `spread_db`."""
    power = np.sqrt(np.mean(parts**2, axis=1, keepdims=True))
    gains = 10 ** (rng.normal(0, spread_db, (len(parts), 1)) / 20)
    return parts * gains / np.maximum(power, 1e-6)


def drum_pattern(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """A bar of eight quavers for kick, snare, cymbal and tom, repeated with small changes: (notes, 4) as `render_parts` takes them."""
    quaver_s = rng.uniform(0.16, 0.32)
    kick = np.flatnonzero(rng.random(8) < np.array([1.0, 0.1, 0.2, 0.3, 0.6, 0.2, 0.3, 0.2]))
    snare = np.flatnonzero(rng.random(8) < np.array([0.0, 0.05, 0.9, 0.05, 0.1, 0.1, 0.9, 0.2]))
    cymbal = rng.choice([CLOSED_HAT, OPEN_HAT, RIDE])
    notes = []
    for step in range(int(seconds / quaver_s)):
        hits = [
            (KICK, step % 8 in kick),
            (SNARE, step % 8 in snare),
            (cymbal, rng.random() < 0.8),
            (TOM, rng.random() < 0.05),
        ]
        notes += [(step * quaver_s, 0.1, drum, rng.uniform(70, 115)) for drum, is_hit in hits if is_hit]
    return np.array(notes).reshape(-1, 4)
