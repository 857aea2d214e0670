"""Read folk tunes in ABC notation as one array of notes.

The subset that Ryan's Mammoth Collection uses: keys and modes, unit lengths, accidentals, broken rhythm, tuplets and ties. Of a chord
the first note counts; repeats are not unfolded; grace notes, chord names and bowing marks are left out.
"""

import functools
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
MODES = {"maj": 0, "ion": 0, "mix": -1, "dor": -2, "min": -3, "aeo": -3, "phr": -4, "lyd": 1, "loc": -5}
ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
TOKEN = re.compile(r"(\|)|\((\d)|(>+|<+)|(\^+|_+|=)?([A-Ga-gzx])([,']*)(\d*)(/*)(\d*)|(-)")
TUPLET_TIME = {"2": Fraction(3, 2), "3": Fraction(2, 3), "4": Fraction(3, 4), "6": Fraction(1, 3)}


@functools.lru_cache(maxsize=256)
def read_abc(path: Path) -> tuple[np.ndarray]:
    """The one part of a file with one tune.

    Returns:
        One array (notes, 3) float64: onset and duration in quarter notes from the start of the tune, MIDI pitch.
    """
    fields: dict[str, str] = {}
    music = []
    for line in path.read_text(encoding="latin-1").splitlines():
        field = re.match(r"([A-Za-z]):(.*)", line)
        if field:
            fields.setdefault(field[1], field[2].split("%")[0].strip())
        elif not line.startswith("%"):
            music.append(line.split("%")[0])
    unit = Fraction(fields.get("L", "1/8")) * 4
    return (_notes(_plain(" ".join(music)), unit, _key_signature(fields.get("K", "C"))),)


def _plain(music: str) -> str:
    for pattern, text in (
        (r'"[^"]*"|\{[^}]*\}|![^!]*!|\+[^+ ]*\+', ""),
        (r"\[\d", "|"),
        (r"\[([_^=]*[A-Ga-g][,']*)[^\]]*\]", r"\1"),
    ):
        music = re.sub(pattern, text, music)
    return music


def _key_signature(key: str) -> dict[str, int]:
    match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", key)
    if not match:
        return {}
    mode = match[3].lower()[:3]
    fifths = FIFTHS[match[1]] + {"#": 7, "b": -7, "": 0}[match[2]] + (-3 if mode == "m" else MODES.get(mode, 0))
    order = "FCGDAEB"
    return (
        dict.fromkeys(order[:fifths], 1)
        if fifths > 0
        else dict.fromkeys(order[::-1][:-fifths], -1)
        if fifths < 0
        else {}
    )


def _notes(music: str, unit: Fraction, signature: dict[str, int]) -> np.ndarray:
    notes: list[list[Fraction | int]] = []
    bar: dict[str, int] = {}
    clock = Fraction(0)
    tuplet_left, tuplet_time, broken, tie = 0, Fraction(1), Fraction(1), False
    for bar_line, tuplet, swing, accidental, letter, octaves, number, slashes, divisor, tie_mark in TOKEN.findall(
        music
    ):
        if bar_line:
            bar = {}
        elif tuplet:
            tuplet_left, tuplet_time = int(tuplet), TUPLET_TIME.get(tuplet, Fraction(1))
        elif tie_mark:
            tie = True
        elif swing and notes:
            # `a>b` lends half of b to a; `a<b` the other way round.
            longer = 2 - Fraction(1, 2 ** len(swing))
            first, broken = (longer, 2 - longer) if swing[0] == ">" else (2 - longer, longer)
            clock += notes[-1][1] * (first - 1)
            notes[-1][1] *= first
        elif letter:
            length = unit * Fraction(int(number or 1)) / (int(divisor) if divisor else 2 ** len(slashes)) * broken
            broken = Fraction(1)
            if tuplet_left:
                length, tuplet_left = length * tuplet_time, tuplet_left - 1
            if letter not in "zx":
                name = letter + octaves
                if accidental:
                    bar[name] = ACCIDENTALS[accidental]
                pitch = 60 + STEPS[letter.upper()] + bar.get(name, signature.get(letter.upper(), 0))
                pitch += 12 * (letter.islower() + octaves.count("'") - octaves.count(","))
                if tie and notes and notes[-1][2] == pitch:
                    notes[-1][1] += length
                else:
                    notes.append([clock, length, pitch])
            clock, tie = clock + length, False
    return np.array([[float(value) for value in note] for note in notes], dtype=np.float64).reshape(-1, 3)
