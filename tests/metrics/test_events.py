"""Scores of events agree with sed_eval (kept numbers, see tests/parity/make_events.py) and mir_eval."""

import json
from pathlib import Path

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from benchmark.metrics.events import METRICS, EventClip, active, matched, segment_counts

CASES = json.loads((Path(__file__).parents[1] / "parity" / "data" / "events.json").read_text())


def clip(reference, answers, seconds, classes=3):
    nothing = np.zeros((0, classes), dtype=bool)
    shaped = (np.array(events, dtype=np.float64).reshape(-1, 3) for events in (reference, answers))
    return EventClip(*shaped, seconds, nothing, nothing)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_scores_are_those_of_sed_eval(number):
    case = CASES[number]
    clips = [clip(one["reference"], one["answers"], one["seconds"]) for one in case["clips"]]
    for name, expected in case["scores"].items():
        found = METRICS[name].function(clips)
        # Where nothing is answered sed_eval has no F-measure; here it is 0, since there was something to find.
        assert found == pytest.approx(0.0 if expected is None else expected), name


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.integers(1, 15))
def test_onsets_agree_with_mir_eval(seed, references, answers):
    rng = np.random.default_rng(seed)
    first, second = (np.sort(rng.uniform(0, 2, count)) for count in (references, answers))
    made = [np.column_stack([onsets, onsets + 0.1, np.zeros(len(onsets))]) for onsets in (first, second)]
    for name, window in (("onset_f_50ms", 0.05), ("onset_f_200ms", 0.2)):
        expected = mir_eval.onset.f_measure(first, second, window=window)[0]
        assert METRICS[name].function([clip(*made, 2.0)]) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_notes_agree_with_mir_eval(seed, references, answers):
    rng = np.random.default_rng(seed)
    made = []
    for count in (references, answers):
        start = rng.uniform(0, 2, count)
        made.append(np.column_stack([start, start + rng.uniform(0.05, 1, count), rng.integers(0, 2, count)]))
    if references and answers:
        pairs = mir_eval.transcription.match_notes(
            made[0][:, :2], 440 * 2 ** made[0][:, 2], made[1][:, :2], 440 * 2 ** made[1][:, 2],
            onset_tolerance=0.2, offset_ratio=0.5, offset_min_tolerance=0.2,
        )  # fmt: skip
        assert matched(*made, 0.2, offsets=True) == len(pairs)
    else:
        assert matched(*made, 0.2, offsets=True) == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_frames_and_segments_agree_with_scikit_learn(seed, frames, classes, part):
    rng = np.random.default_rng(seed)
    truth, answers = rng.random((2, frames, classes)) < np.array([part, 0.4])[:, None, None]
    nothing = np.zeros((0, 3))
    found = METRICS["frame_f1"].function([EventClip(nothing, nothing, 1.0, truth, answers)])
    # One class more that is never on, so that a single class is not taken for a binary question.
    padded = (np.pad(each, ((0, 0), (0, 1))).astype(int) for each in (truth, answers))
    expected = sk.f1_score(*padded, average="micro", zero_division=np.nan)
    assert found == pytest.approx(expected, nan_ok=True)
    # The same stretches as events of 10 ms each.
    events = [np.argwhere(each)[:, [0, 0, 1]] * [0.01, 0.01, 1] + [0, 0.0099, 0] for each in (truth, answers)]
    made = EventClip(events[0] + [0.00005, 0, 0], events[1] + [0.00005, 0, 0], frames * 0.01 - 0.001, truth, answers)
    assert METRICS["segment_f1_10ms"].function([made]) == pytest.approx(expected, nan_ok=True)
    accuracy = sk.accuracy_score(truth.ravel(), answers.ravel())
    assert METRICS["segment_accuracy_10ms"].function([made]) == pytest.approx(accuracy)


def test_degenerate_answers():
    one = [[0.5, 1.0, 0]]
    for name, metric in METRICS.items():
        if name == "frame_f1" or "accuracy" in name:
            continue
        perfect, silent = metric.function([clip(one, one, 2.0)]), metric.function([clip(one, [], 2.0)])
        assert (perfect, silent) == ((0.0, 1.0) if "error_rate" in name else (1.0, 0.0))
        assert np.isnan(metric.function([clip([], [], 2.0)]))
    assert METRICS["segment_accuracy_10ms"].function([clip(one, [], 2.0)]) == pytest.approx(1 - 0.5 / 2 / 3)
    # False alarms make an error rate larger than 1.
    assert METRICS["segment_error_rate_1s"].function([clip(one, [[1.0, 4.0, 1]], 4.0)]) == 4.0


def test_frames_are_counted_over_clips():
    on, off = np.array([[True, False], [True, True]]), np.zeros((2, 2), dtype=bool)
    nothing = np.zeros((0, 3))
    clips = [EventClip(nothing, nothing, 1.0, on, on), EventClip(nothing, nothing, 1.0, on, off)]
    assert METRICS["frame_f1"].function(clips) == pytest.approx(2 * 3 / (3 + 6))


def test_activity_and_its_errors_by_hand():
    roll = active(np.array([[0.5, 1.0, 0], [1.2, 2.9, 1]]), 1.0, 3, 2)
    assert roll.tolist() == [[True, False], [False, True], [False, True]]
    answer = np.array([[False, True], [False, False], [True, True]])
    # A substitution, a deletion, an insertion.
    assert segment_counts(roll, answer).tolist() == [1, 3, 3, 1, 1, 1, 6, 2]
