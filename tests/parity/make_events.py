"""Scores of sed_eval on random events, for tests/metrics/test_events.py. Needs `pip install sed_eval` (0.2.1).

python -m tests.parity.make_events > tests/parity/data/events.json
"""

import json
import sys

import dcase_util
import numpy as np
import sed_eval

CLASSES = ["a", "b", "c"]


def case(rng: np.random.Generator) -> dict:
    """Two clips of events, the second now and then of none, with answers near them, missed or made up."""
    clips = []
    for least in (1, 0):
        seconds = float(np.round(rng.uniform(3, 8), 2))
        count = int(rng.integers(least, 6))
        start = np.round(rng.uniform(0, seconds - 1, count), 2)
        reference = np.column_stack(
            [start, np.round(start + rng.uniform(0.05, 1, count), 2), rng.integers(0, 3, count)]
        )
        kept = reference[rng.random(count) < 0.8]
        near = kept + np.column_stack([rng.normal(0, 0.12, (len(kept), 2)).round(2), np.zeros(len(kept))])
        near[:, 0] = np.maximum(near[:, 0], 0)
        near[:, 1] = np.clip(near[:, 1], near[:, 0] + 0.02, seconds).round(2)
        extra = int(rng.integers(0, 3))
        begin = np.round(rng.uniform(0, seconds - 1, extra), 2)
        more = np.column_stack([begin, np.round(begin + 0.5, 2), rng.integers(0, 3, extra)])
        clips.append({"seconds": seconds, "reference": reference.tolist(), "answers": [*near.tolist(), *more.tolist()]})
    return {"clips": clips}


def listed(events: list) -> dcase_util.containers.MetaDataContainer:
    return dcase_util.containers.MetaDataContainer(
        [{"filename": "f", "event_onset": s, "event_offset": e, "event_label": CLASSES[int(c)]} for s, e, c in events]
    )


def scores(clips: list[dict]) -> dict[str, float]:
    found = {}
    for name, collar, offset in (
        ("onset_f_200ms", 0.2, False), ("onset_f_50ms", 0.05, False), ("onset_f_500ms", 0.5, False), ("onset_f_1s", 1.0, False),
        ("onset_offset_f_200ms", 0.2, True), ("onset_offset_f_500ms", 0.5, True), ("onset_offset_f_1s", 1.0, True),
    ):  # fmt: skip
        made = sed_eval.sound_event.EventBasedMetrics(CLASSES, True, offset, t_collar=collar)
        for clip in clips:
            made.evaluate(listed(clip["reference"]), listed(clip["answers"]))
        found[name] = made.results_overall_metrics()["f_measure"]["f_measure"]
    for resolution, names in (
        (1.0, {"segment_f1_1s": ("f_measure", "f_measure"), "segment_error_rate_1s": ("error_rate", "error_rate")}),
        (
            0.1,
            {"segment_f1_100ms": ("f_measure", "f_measure"), "segment_error_rate_100ms": ("error_rate", "error_rate")},
        ),
        (0.01, {"segment_f1_10ms": ("f_measure", "f_measure"), "segment_accuracy_10ms": ("accuracy", "accuracy")}),
    ):
        made = sed_eval.sound_event.SegmentBasedMetrics(CLASSES, time_resolution=resolution)
        for clip in clips:
            made.evaluate(listed(clip["reference"]), listed(clip["answers"]), evaluated_length_seconds=clip["seconds"])
        overall = made.results_overall_metrics()
        found |= {name: overall[group][key] for name, (group, key) in names.items()}
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    cases = [case(rng) for _ in range(25)]
    for made in cases:
        made["scores"] = scores(made["clips"])
    json.dump(cases, sys.stdout)
