"""Scores as notes: the readers, excerpts, and parts that are rendered alone."""

import zipfile

import numpy as np
import pytest

from benchmark.datasets.render.abc_notation import read_abc
from benchmark.datasets.render.corpus import DOUBLED, FAMILIES, _distinct, excerpt, read_score, scores
from benchmark.datasets.render.musicxml import read_musicxml
from benchmark.datasets.render.soundfont import (
    DRUMS,
    SAMPLE_RATE,
    balance,
    drum_pattern,
    into_range,
    perform,
    render_parts,
)

# A clarinet in B flat (sounds two semitones lower): a chord, a tie over the bar line, a grace note, a second voice.
MUSICXML = """<score-partwise><part id="P1">
<measure number="1"><attributes><divisions>2</divisions><transpose><chromatic>-2</chromatic></transpose></attributes>
<note><grace/><pitch><step>A</step><octave>5</octave></pitch></note>
<note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note>
<note><chord/><pitch><step>E</step><alter>-1</alter><octave>4</octave></pitch><duration>2</duration></note>
<note><rest/><duration>1</duration></note>
<note><pitch><step>G</step><octave>4</octave></pitch><duration>1</duration><tie type="start"/></note>
<backup><duration>4</duration></backup><forward><duration>1</duration></forward>
<note><pitch><step>C</step><octave>3</octave></pitch><duration>3</duration></note></measure>
<measure number="2"><note><pitch><step>G</step><octave>4</octave></pitch><duration>4</duration><tie type="stop"/></note></measure>
</part><part id="P2"><measure number="1"><note><rest/><duration>8</duration></note></measure></part></score-partwise>"""
NOTES = [[0, 1, 58], [0, 1, 61], [0.5, 1.5, 46], [1.5, 2.5, 65]]


def abc(tmp_path, music, key="C", unit="1/8"):
    path = tmp_path / "tune.abc"
    path.write_text(f"X:1\nT:Tune\nM:2/4\nL:{unit}\nK:{key}\n{music}\n")
    return read_abc(path)[0]


def test_musicxml_gives_sounding_pitches_in_quarters_with_ties_joined(tmp_path):
    (tmp_path / "score.xml").write_text(MUSICXML)
    with zipfile.ZipFile(tmp_path / "score.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("score.xml", MUSICXML)
    for name in ("score.xml", "score.mxl"):
        clarinet, silent = read_musicxml(tmp_path / name)
        np.testing.assert_array_equal(clarinet, NOTES)
        assert silent.shape == (0, 3)


def test_musicxml_agrees_with_music21():
    music21 = pytest.importorskip("music21")
    name = scores("chorales", 1)[0]
    parsed = music21.corpus.parse(name, forceSource=True).toSoundingPitch()
    for part, ours in zip(parsed.parts, read_score(name), strict=True):
        notes = part.stripTies().flatten().notes
        theirs = sorted((float(n.offset), float(n.quarterLength), float(p.midi)) for n in notes for p in n.pitches)
        np.testing.assert_allclose(sorted(map(tuple, ours)), theirs)


def test_abc_reads_lengths_broken_rhythm_and_triplets(tmp_path):
    tune = abc(tmp_path, "C2 D/ E> F G < A (3ccc z B4 |")
    np.testing.assert_allclose(tune[:, 1], [1, 0.25, 0.75, 0.25, 0.25, 0.75, 1 / 3, 1 / 3, 1 / 3, 2])
    np.testing.assert_allclose(tune[-1, 0], 1 + 0.25 + 1 + 1 + 1 + 0.5)


def test_abc_accidentals_hold_for_a_bar_and_one_octave(tmp_path):
    np.testing.assert_array_equal(abc(tmp_path, "^F F f | F _B =B,", key="Bb")[:, 2], [66, 66, 77, 65, 70, 59])


@pytest.mark.parametrize(
    ("key", "pitches"), [("G", [65 + 1, 71]), ("F", [65, 70]), ("A Minor", [65, 71]), ("Edor", [66, 71])]
)
def test_abc_keys_and_modes_sharpen_and_flatten(tmp_path, key, pitches):
    np.testing.assert_array_equal(abc(tmp_path, "F B", key=key)[:, 2], pitches)


def test_abc_leaves_out_graces_and_chord_names_and_joins_ties(tmp_path):
    tune = abc(tmp_path, '"Am"{ag}A2-A "_f"u(c.d) [ce]2')
    np.testing.assert_array_equal(tune[:, 1:], [[1.5, 69], [0.5, 72], [0.5, 74], [1, 72]])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_of_scores_can_be_read(family):
    for part in read_score(scores(family, 1)[0]):
        assert len(part) > 10
        assert (part[:, 1] > 0).all()
        assert (part[:, 2] >= 24).all()
        assert (part[:, 2] <= 108).all()


def test_halves_of_a_family_share_no_score():
    assert not set(scores("reels", 100)) & set(scores("reels", 100, 1))


def test_too_many_scores_are_refused():
    with pytest.raises(ValueError, match="madrigals"):
        scores("madrigals", 1000)


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 5])
def test_parts_of_an_excerpt_sound_together(parts):
    found = excerpt(scores("madrigals", 1)[0], np.random.default_rng(parts), seconds=3.0, parts=parts)
    assert len(found) == parts
    for part in found:
        assert (part[:, 0] >= 0).all()
        assert ((part[:, 0] + part[:, 1]) <= 3.0 + 1e-9).all()
        assert part[:, 1].sum() > 1.2


def test_an_excerpt_of_more_parts_than_there_are_is_refused():
    with pytest.raises(ValueError, match="2 different parts"):
        excerpt(scores("reels", 1)[0], np.random.default_rng(0), seconds=3.0, parts=2)


def test_a_part_doubled_at_the_octave_is_not_another_part():
    line = np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76])
    other = line + 4
    assert _distinct(np.array([line, line - 12, other]), [0, 1, 2]) == [0, 2]
    assert 0 < DOUBLED < 1


def test_stems_add_up_to_what_is_rendered_together():
    parts = perform(excerpt(scores("chorales", 1)[0], np.random.default_rng(0), 2.0, parts=2), np.random.default_rng(1))
    stems = render_parts(parts, [40, 73], seconds=2.0)
    alone = render_parts(parts[1:], [73], seconds=2.0)
    assert stems.shape == (2, 2 * SAMPLE_RATE)
    np.testing.assert_array_equal(stems[1], alone[0])
    np.testing.assert_array_equal(render_parts(parts, [40, 73], seconds=2.0), stems)
    assert (stems.std(axis=1) > 0.001).all()


def test_a_note_sounds_at_its_pitch_from_its_onset():
    (sound,) = render_parts([np.array([[0.5, 1.0, 69, 100]])], [73], seconds=1.5)
    assert np.abs(sound[: SAMPLE_RATE // 2 - 100]).max() == 0
    spectrum = np.abs(np.fft.rfft(sound[SAMPLE_RATE * 3 // 4 : SAMPLE_RATE * 5 // 4]))
    assert np.argmax(spectrum) * 2 == pytest.approx(440, rel=0.02)


def test_a_part_without_notes_is_silent():
    assert not render_parts([np.zeros((0, 4))], [0], seconds=0.5).any()


def test_balanced_parts_have_equal_power_without_spread():
    sound = np.array([[0.1, -0.1, 0.1, -0.1], [5.0, -5.0, 5.0, -5.0]])
    np.testing.assert_allclose(
        np.sqrt(np.mean(balance(sound, np.random.default_rng(0), spread_db=0.0) ** 2, axis=1)), 1.0
    )


def test_into_range_moves_by_octaves():
    moved = into_range(np.array([[0, 1, 30.0], [1, 1, 34.0]]), 55, 79)
    assert ((moved[:, 2] - [30, 34]) % 12 == 0).all()
    assert 60 <= moved[:, 2].mean() <= 74


def test_drums_are_struck_within_the_time():
    pattern = drum_pattern(np.random.default_rng(0), 2.0)
    assert pattern[:, 0].min() >= 0
    assert pattern[:, 0].max() <= 2.0
    assert np.std(render_parts([pattern], [DRUMS], 2.0)) > 0.001
