"""Read MusicXML scores as plain arrays of notes.

music21 needs 0.1 to 1 s to parse a score into its objects; what a synthesiser needs of it, when which pitch sounds in which part, is
read here from the same files some twenty times faster. Repeats are not unfolded, and grace notes and unpitched percussion are left out.
"""

import functools
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@functools.lru_cache(maxsize=256)
def read_musicxml(path: Path) -> tuple[np.ndarray, ...]:
    """The parts of a score-partwise file, `.xml` or compressed `.mxl`, in the order of the file.

    Returns:
        One array (notes, 3) float64 a part: onset and duration in quarter notes from the start of the score, sounding MIDI pitch;
        sorted by onset and pitch. Tied notes are one note. A part without notes is an empty array.
    """
    root = ElementTree.fromstring(_document(path))
    return tuple(_part(part) for part in root.findall("part"))


def _document(path: Path) -> bytes:
    if path.suffix != ".mxl":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("META-INF") and name.endswith("xml")]
        return archive.read(names[0])


def _part(part: ElementTree.Element) -> np.ndarray:
    notes: list[list[float]] = []
    tied: dict[float, int] = {}
    measure_start, divisions, transpose = 0.0, 1.0, 0.0
    for measure in part.iter("measure"):
        cursor = end = onset = measure_start
        for item in measure:
            if item.tag == "attributes":
                divisions = float(item.findtext("divisions", divisions))
                if item.find("transpose") is not None:
                    semitones = float(item.findtext("transpose/chromatic", 0))
                    transpose = semitones + 12 * float(item.findtext("transpose/octave-change", 0))
            elif item.tag in ("backup", "forward"):
                step = float(item.findtext("duration", 0)) / divisions
                cursor += step if item.tag == "forward" else -step
            elif item.tag == "note" and item.find("grace") is None:
                duration = float(item.findtext("duration", 0)) / divisions
                if item.find("chord") is None:
                    onset, cursor = cursor, cursor + duration
                if item.find("pitch") is not None:
                    _add_note(notes, tied, item, onset, duration, transpose)
            end = max(end, cursor)
        measure_start = end
    array = np.array(notes, dtype=np.float64).reshape(-1, 3)
    return array[np.lexsort((array[:, 2], array[:, 0]))]


def _add_note(
    notes: list[list[float]],
    tied: dict[float, int],
    item: ElementTree.Element,
    onset: float,
    duration: float,
    transpose: float,
) -> None:
    step, alter, octave = (item.findtext(f"pitch/{name}", "0") for name in ("step", "alter", "octave"))
    pitch = 12 * (float(octave) + 1) + STEPS[step] + float(alter) + transpose
    ties = {tie.get("type") for tie in item.findall("tie")}
    previous = tied.pop(pitch, None) if "stop" in ties else None
    if previous is not None and abs(notes[previous][0] + notes[previous][1] - onset) < 1e-6:
        notes[previous][1] += duration
        index = previous
    else:
        notes.append([onset, duration, pitch])
        index = len(notes) - 1
    if "start" in ties:
        tied[pitch] = index
