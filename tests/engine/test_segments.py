"""Several segments at once: identities that several clips stand for, and questions that are the mean of several clips."""

import numpy as np
import pytest

from benchmark.config.schema_probe import CosineSettings
from benchmark.config.schema_task import TaskConfig
from benchmark.datasets.clips import Clip
from benchmark.engine.items import TaskItems
from benchmark.engine.probe_job import RunInput, score_run
from benchmark.metrics.folds import Split
from benchmark.probes.cosine import run_comparison

LABELS = np.repeat(np.arange(8), 10)


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(2)
    return (rng.normal(size=(8, 6))[LABELS] + 1.5 * rng.normal(size=(80, 6))).astype(np.float32)


def halves() -> list[Split]:
    """Every other clip learned from; of the others two of each class are for validation."""
    number = np.arange(80)
    return [Split(number[0::2], number[number % 10 == 1], number[(number % 2 == 1) & (number % 10 != 1)])]


def compare(vectors, segments):
    splits = [
        Split(np.flatnonzero(LABELS < 3), np.flatnonzero((LABELS == 3) | (LABELS == 4)), np.flatnonzero(LABELS > 4))
    ]
    return run_comparison(vectors, LABELS, splits, CosineSettings(back_end=["none"]), ("eer",), segments=segments)


def test_an_identity_that_several_clips_stand_for_is_found_more_often(vectors):
    errors = {}
    for segments in (1, 3, 5):
        result, found = compare(vectors, segments)
        errors[segments] = result.scores["file"]["eer"][0]
        if segments > 1:
            assert len(found[0].clip) == 30 * 3 and found[0].same.sum() == 30
            assert not np.any(found[0].clip == found[0].other), "a clip is not among those that stand for its identity"
            assert set(np.bincount(found[0].clip)[50:]) == {3}
    assert errors[5] < errors[3] < errors[1]


def test_all_clips_of_another_identity_by_hand(vectors):
    """With as many segments as there are clips nothing is drawn."""
    _, found = compare(vectors, 10)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for clip, other, score in list(zip(found[0].clip, found[0].other, found[0].score, strict=True))[::7]:
        stands = [i for i in np.flatnonzero(LABELS[other] == LABELS) if i != clip]
        mean = unit[stands].mean(axis=0)
        assert score == pytest.approx(unit[clip] @ mean / np.linalg.norm(mean), abs=1e-5)


class View:
    """What a run reads of the store."""

    def __init__(self, vectors):
        self.clip_ids, self.lost = [f"{i:02}" for i in range(len(vectors))], {}
        self.vectors = vectors

    def frames(self, clip):
        return self.vectors[int(clip)][None], np.zeros(1)


def classify(vectors, segments, probe="centroid", settings=None):
    clips = [Clip(f"{i:02}", None) for i in range(80)]
    items = TaskItems(clips, LABELS, [clip.id for clip in clips], [f"singer{i}" for i in range(8)], [None] * 80)
    run = RunInput(
        items, halves(), "mean", probe, settings or {"metric": ["cosine"]}, ("file",), ("accuracy", "top5"), "none", None, False,
        0, segments,
    )  # fmt: skip
    return score_run(View(vectors), run)


@pytest.mark.parametrize(
    ("probe", "settings"), [("centroid", {"metric": ["cosine"]}), ("5-shot", {"shots": 4, "draws": 2})]
)
def test_the_mean_of_several_clips_is_recognised_more_often(vectors, probe, settings):
    found = {segments: classify(vectors, segments, probe, settings) for segments in (1, 3)}
    one, three = (found[s].fields["scores"]["file"]["accuracy"]["mean"] for s in (1, 3))
    assert one < three
    assert found[3].fields["folds"][0]["test"] == 32 and found[3].used == 80
    answers = found[3].answers.to_pydict()
    asked = halves()[0].test
    assert sorted(set(map(int, answers["clip"]))) == asked.tolist()


def test_what_segments_do_not_fit_is_refused():
    task = {"name": "x", "domain": "music", "dataset": {"folder": "x"}, "segments": 3, "control": False}
    assert TaskConfig.model_validate(task).segments == 3
    for change in ({"levels": ["file", "frame"]}, {"control": True}, {"kind": "regression"}, {"segments": 0}, {
        "strategies": ["frozen", "full"]}):  # fmt: skip
        with pytest.raises(ValueError, match=r"segments|metrics"):
            TaskConfig.model_validate({**task, **change})
