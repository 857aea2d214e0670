"""The sung voice: its pitch is the melody's, its formants the singer's."""

import dataclasses

import numpy as np
import pytest

from benchmark.datasets.render.espeak import SAMPLE_RATE, speak
from benchmark.datasets.render.singing import Singer, _warp, sing
from benchmark.datasets.render.voices import Voice, say, talk

SINGER = Singer(variant="m1", tract=1.0, vibrato_hz=5.5, vibrato_cents=20, breath=0.03, tilt_db=0.0)


def fundamental_hz(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * SAMPLE_RATE))
    lags = np.fft.irfft(spectrum**2)
    first, last = SAMPLE_RATE // 600, SAMPLE_RATE // 80
    return SAMPLE_RATE / (first + np.argmax(lags[first:last]))


@pytest.mark.parametrize("midi", [50, 57, 64, 69])
def test_a_note_is_sung_at_its_pitch(midi):
    sound = sing(np.array([[0.2, 1.4, midi]]), SINGER, np.random.default_rng(0), seconds=1.8)
    middle = sound[SAMPLE_RATE // 2 : SAMPLE_RATE * 5 // 4]
    assert 12 * np.log2(fundamental_hz(middle) / (440 * 2 ** ((midi - 69) / 12))) == pytest.approx(0, abs=0.8)


def test_nothing_is_sung_before_and_after_the_notes():
    sound = sing(np.array([[0.5, 0.5, 60]]), SINGER, np.random.default_rng(0), seconds=2.0)
    assert len(sound) == 2 * SAMPLE_RATE
    quiet = np.concatenate([sound[: SAMPLE_RATE // 3], sound[SAMPLE_RATE * 5 // 4 :]])
    assert np.std(quiet) < 0.01 * np.std(sound[SAMPLE_RATE * 6 // 10 : SAMPLE_RATE * 9 // 10])


@pytest.mark.parametrize("tract", [0.9, 1.0, 1.2])
def test_a_shorter_tract_raises_the_formants(tract):
    formant_bin = 100
    envelope = np.exp(-0.5 * ((np.arange(513) - formant_bin) / 8) ** 2)[None, :]
    assert np.argmax(_warp(envelope, dataclasses.replace(SINGER, tract=tract))) == pytest.approx(
        formant_bin * tract, abs=1
    )


def test_a_shorter_tract_leaves_the_pitch():
    melody = np.array([[0.0, 1.5, 57]])
    long, short = (
        sing(melody, dataclasses.replace(SINGER, tract=tract), np.random.default_rng(3), seconds=1.5)
        for tract in (0.95, 1.2)
    )
    assert fundamental_hz(short) == pytest.approx(fundamental_hz(long), rel=0.02)
    assert not np.allclose(short, long)


def test_a_melody_without_notes_is_silent():
    assert np.abs(sing(np.zeros((0, 3)), SINGER, np.random.default_rng(0), seconds=0.5)).max() == 0


def test_talk_has_the_length_asked_for():
    voice = Voice("m1", 50, 50, 160, 1.1)
    assert len(talk(("Yes.",), "en", voice, np.random.default_rng(0), seconds=2.5)) == round(2.5 * SAMPLE_RATE)


def test_a_shorter_tract_keeps_the_pace():
    plain, short = (say("The train leaves at seven.", "en", Voice("m1", 50, 50, 160, tract)) for tract in (1.0, 1.15))
    assert len(short) == pytest.approx(len(plain), rel=0.1)


def test_an_unknown_voice_is_refused():
    with pytest.raises(ValueError, match="xx"):
        speak("one", "xx+m1")
