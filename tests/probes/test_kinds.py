"""Slots, numbers, events and pairs through the whole probe: they learn what is there, and nothing from shuffled labels."""

import numpy as np
import pytest

from benchmark.config.schema_probe import CosineSettings, LogisticSettings, MlpSettings, RidgeSettings
from benchmark.config.schema_task import SmoothingConfig
from benchmark.metrics.folds import make_splits
from benchmark.probes.cosine import run_comparison
from benchmark.probes.data import FrameTable
from benchmark.probes.detect import Recording, run_detection
from benchmark.probes.run import run_probe
from benchmark.probes.slots import run_slots
from benchmark.probes.smoothing import Smoothing, best_path, candidates, frame_edges, frame_labels, to_events
from benchmark.probes.whitening import fit_whitening

QUICK = LogisticSettings(C=[0.1, 1.0])


def splits_of(n, strata=None, groups=None, k=4):
    return make_splits(
        [f"{i:04}" for i in range(n)], np.zeros(n, int) if strata is None else strata, groups, "grouped", k=k
    )


def test_numbers_are_regressed_and_their_shuffle_is_not():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(160, 8)).astype(np.float32)
    truth = 60 + 4 * vectors[:, 0] + 0.1 * rng.normal(size=160)
    table, splits = FrameTable(None, vectors=vectors), splits_of(160)
    arguments = {"metrics": ("r2", "mae", "pitch_accuracy"), "kind": "regression"}
    result = run_probe(table, truth, splits, "ridge", RidgeSettings(), **arguments)
    assert min(result.scores["file"]["r2"]) > 0.95
    assert max(result.scores["file"]["mae"]) < 0.5
    assert result.confusion == {}
    assert result.predictions.posterior.shape == (160, 1)
    control = run_probe(table, truth, splits, "ridge", RidgeSettings(), shuffle_labels=True, **arguments)
    assert max(control.scores["file"]["r2"]) < 0.2


def test_a_lower_error_is_chosen_when_errors_are_minimised():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(60, 30)).astype(np.float32)
    truth = vectors[:, 0] + rng.normal(size=60)
    table, splits = FrameTable(None, vectors=vectors), splits_of(60)
    chosen = {
        metric: [
            fold.chosen["alpha"]
            for fold in run_probe(
                table, truth, splits, "ridge", RidgeSettings(), ("file",), (metric,), kind="regression"
            ).folds
        ]
        for metric in ("rmse", "r2")
    }
    assert chosen["rmse"] == chosen["r2"]
    assert min(chosen["rmse"]) > 1e-2


def test_classes_may_be_scored_as_the_notes_that_they_are(made):
    data = made(classes=3, gap=2.0)
    table = FrameTable(None, vectors=data.vectors)
    values = np.array([60.0, 72.0, 64.0])
    result = run_probe(table, data.labels, data.splits, metrics=("accuracy", "chroma_accuracy"), values=values)
    merged = run_probe(
        table, data.labels, data.splits, metrics=("chroma_accuracy",), values=np.array([0.0, 12.0, 24.0])
    )
    assert np.all(np.array(result.scores["file"]["chroma_accuracy"]) >= result.scores["file"]["accuracy"])
    assert merged.scores["file"]["chroma_accuracy"] == [1.0] * 5
    with pytest.raises(ValueError, match="stand for numbers"):
        run_probe(table, data.labels, data.splits, metrics=("chroma_accuracy",))


@pytest.mark.parametrize("probe", ["logistic", "mlp"])
def test_labels_that_nobody_knows_teach_nothing(probe):
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 6)).astype(np.float32)
    truth = (vectors[:, :2] > 0).astype(np.int64)
    unknown = rng.random(truth.shape) < 0.4
    table, splits = FrameTable(None, vectors=vectors), splits_of(200)
    settings = QUICK if probe == "logistic" else MlpSettings(hidden=[], lr=0.05, max_epochs=40, patience=40)
    labels = np.where(unknown, -1, truth)
    scores = run_probe(table, labels, splits, probe, settings, metrics=("map", "auroc")).scores["file"]
    assert np.mean(scores["auroc"]) > 0.95
    negative = np.where(unknown, 0, truth)
    taught = run_probe(table, negative, splits, probe, settings, metrics=("map",))
    assert np.mean(taught.scores["file"]["map"]) < np.mean(scores["map"]) - 0.1


def test_a_clip_is_right_when_all_its_slots_are():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(240, 6)).astype(np.float32)
    labels = np.stack([vectors[:, 0] > 0, np.digitize(vectors[:, 1], [-0.5, 0.5])], axis=1).astype(np.int64)
    table, splits = FrameTable(None, vectors=vectors), splits_of(240)
    result = run_slots(table, labels, splits, "logistic", QUICK, ("accuracy",), ("first", "second"))
    assert min(result.scores["file"]["accuracy"]) > 0.75
    for fold, (clip, answers) in enumerate(result.answers["file"]):
        right = answers == labels[clip]
        assert result.scores["file"]["accuracy"][fold] == pytest.approx(right.all(1).mean())
        assert right.mean(0).min() >= right.all(1).mean()
    assert set(result.folds[0].chosen) == {"first", "second"}
    control = run_slots(table, labels, splits, "logistic", QUICK, ("accuracy",), ("a", "b"), shuffle_labels=True)
    assert np.mean(control.scores["file"]["accuracy"]) == pytest.approx(1 / 6, abs=0.12)


class Sounds:
    """Clips of a second in frames of 50 ms in which two classes come and go."""

    def __init__(self, clips=24, seed=4):
        rng = np.random.default_rng(seed)
        self.times = np.arange(40) * 0.05 + 0.025
        self.recordings, frames = [], []
        for _ in range(clips):
            events = []
            for c in range(2):
                start = rng.integers(2, 12) * 0.1
                events.append([start, start + rng.integers(4, 8) * 0.1, c])
            events = np.array(sorted(events))
            self.recordings.append(Recording(self.times, events))
            on = frame_labels(events, self.times, 2)
            frames.append((4.0 * on - 2 + rng.normal(size=(40, 2))) @ rng.normal(size=(2, 2)) * 0 + 4.0 * on - 2)
            frames[-1] = (frames[-1] + rng.normal(0, 1.2, (40, 2))).astype(np.float32)
        self.table = FrameTable.from_clips(frames)
        self.splits = splits_of(clips)


METRICS = ("onset_f_200ms", "frame_f1", "segment_f1_100ms", "segment_error_rate_1s")


def test_events_are_found_and_smoothing_helps():
    made = Sounds()
    result, found = run_detection(
        made.table, made.recordings, made.splits, "logistic", QUICK, METRICS, 2, SmoothingConfig()
    )
    raw, _ = run_detection(
        made.table, made.recordings, made.splits, "logistic", QUICK, METRICS, 2,
        SmoothingConfig(threshold=[0.5], median_s=[0.0], viterbi=[], shortest_s=[0.0]),
    )  # fmt: skip
    scores = result.scores["file"]
    assert np.mean(scores["frame_f1"]) > 0.85
    assert np.mean(scores["onset_f_200ms"]) > np.mean(raw.scores["file"]["onset_f_200ms"]) + 0.1
    assert [len(fold.clip) for fold in found] == [len(split.test) for split in made.splits]
    assert all({"C", "shortest_s", "valid"} <= set(fold.chosen) for fold in result.folds)
    control, _ = run_detection(
        made.table, made.recordings, made.splits, "logistic", QUICK, METRICS, 2, SmoothingConfig(), shuffle_labels=True
    )
    assert np.mean(control.scores["file"]["segment_f1_100ms"]) < np.mean(scores["segment_f1_100ms"]) - 0.2


def test_test_clips_choose_nothing():
    made = Sounds()
    one = made.splits[:1]
    before, found = run_detection(made.table, made.recordings, one, "logistic", QUICK, METRICS, 2, SmoothingConfig())
    other = list(made.recordings)
    for i in one[0].test:
        other[i] = Recording(made.times, np.array([[0.0, 2.0, 0]]))
    after, again = run_detection(made.table, other, one, "logistic", QUICK, METRICS, 2, SmoothingConfig())
    assert before.folds[0].chosen == after.folds[0].chosen
    for first, second in zip(found[0].answers, again[0].answers, strict=True):
        assert np.array_equal(first.answers, second.answers)


def test_training_frames_may_be_few_and_test_frames_are_all():
    made = Sounds()
    settings = QUICK.model_copy(update={"max_frames_per_clip": 5})
    _, found = run_detection(
        made.table, made.recordings, made.splits, "logistic", settings, METRICS, 2, SmoothingConfig()
    )
    assert all(len(clip.frame_answers) == 40 for clip in found[0].answers)


def test_frames_become_events_and_back():
    times = np.array([0.1, 0.3, 0.5, 0.7])
    on = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=bool)
    events = to_events(on, times)
    np.testing.assert_allclose(events, [[0.0, 0.4, 0], [0.4, 0.8, 1]])
    assert np.array_equal(frame_labels(events, times, 2) > 0, on)
    assert frame_edges(np.array([0.5])).tolist() == [0.0, 1.0]
    assert to_events(~on & on, times).shape == (0, 3)


def test_medians_and_shortest_events():
    times = np.arange(10) * 0.1 + 0.05
    posterior = np.array([0.9, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1])[:, None]
    assert Smoothing(0.5, median_s=0.3).decide(posterior, times)[:, 0].tolist() == [*[True] * 5, *[False] * 5]
    kept = Smoothing(0.5, shortest_s=0.2).decide(posterior, times)[:, 0]
    assert np.flatnonzero(kept).tolist() == [2, 3, 4]
    assert np.flatnonzero(Smoothing(0.5, shortest_s=0.3).decide(posterior, times)).tolist() == [2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cost", [0.0, 0.7, 3.0, 100.0])
def test_the_best_path_is_the_best_of_all(seed, cost):
    posterior = np.random.default_rng(seed).random((8, 1))
    odds = np.log(posterior / (1 - posterior))[:, 0]
    paths = (np.arange(256)[:, None] >> np.arange(8)) & 1
    value = paths @ odds - cost * np.abs(np.diff(paths, axis=1)).sum(1)
    assert best_path(posterior, cost)[:, 0].astype(int) @ odds - cost * np.abs(
        np.diff(best_path(posterior, cost)[:, 0].astype(int))
    ).sum() == pytest.approx(value.max())


def test_what_does_least_is_tried_first():
    ways = candidates(SmoothingConfig())
    assert ways[0] == Smoothing(0.5)
    assert len(ways) == len(set(ways)) == 9 * 4 * 3 + 4 * 3


def speakers(n=20, each=12, dim=16, seed=5):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n), each)
    voice = rng.normal(size=(n, dim)) * np.r_[np.ones(4), np.full(dim - 4, 0.05)]
    channel = rng.normal(size=(n * each, dim)) * np.r_[np.full(4, 0.4), np.full(dim - 4, 2.0)]
    vectors = (voice[labels] + channel + 1.0).astype(np.float32)
    groups = [f"s{label}" for label in labels]
    return vectors, labels, splits_of(len(labels), groups=groups, k=4)


def test_whitening_is_learnt_from_training_identities():
    vectors, labels, splits = speakers()
    results = {
        how: run_comparison(vectors, labels, splits, CosineSettings(back_end=[how]), ("eer", "min_dcf_0.05"))[0]
        for how in ("none", "centre", "pca", "lda")
    }
    eers = {how: np.mean(result.scores["file"]["eer"]) for how, result in results.items()}
    assert eers["lda"] < eers["none"] - 0.1
    cosines = CosineSettings(back_end=["none", "centre", "pca", "lda"])
    chosen = run_comparison(vectors, labels, splits, cosines, ("eer",))[0]
    assert [fold.chosen["back_end"] for fold in chosen.folds] == ["lda"] * 4
    assert chosen.scores["file"]["eer"] == results["lda"].scores["file"]["eer"]
    control = run_comparison(vectors, labels, splits, CosineSettings(), ("eer",), shuffle_labels=True)[0]
    assert np.mean(control.scores["file"]["eer"]) == pytest.approx(0.5, abs=0.05)


def test_trials_are_those_of_the_list_that_a_test_part_holds():
    vectors, labels, splits = speakers()
    first = splits[0].test
    trials = np.array(
        [[1, first[0], first[1]], [0, first[0], first[-1]], [1, first[1], first[2]], [1, splits[0].train[0], first[0]]]
    )
    _, found = run_comparison(vectors, labels, splits[:1], CosineSettings(), ("eer",), trials)
    assert found[0].clip.tolist() == [first[0], first[0], first[1]]
    assert found[0].same.tolist() == [True, False, True]
    with pytest.raises(ValueError, match="no trial has both clips in the test part"):
        run_comparison(vectors, labels, splits[1:2], CosineSettings(), ("eer",), trials)


def test_the_nearest_are_of_the_same_class():
    vectors, labels, splits = speakers()
    result, found = run_comparison(vectors, labels, splits, CosineSettings(), ("map_at_10", "precision_at_1"))
    assert min(result.scores["file"]["precision_at_1"]) > 0.5
    assert all(clip not in others for fold in found for clip, others in zip(fold.clip, fold.other, strict=True))
    control = run_comparison(vectors, labels, splits, CosineSettings(), ("precision_at_1",), shuffle_labels=True)[0]
    assert np.mean(control.scores["file"]["precision_at_1"]) == pytest.approx(11 / 59, abs=0.08)


def test_whitening_of_few_flat_or_empty_vectors_is_finite():
    for vectors in (np.zeros((3, 5)), np.ones((1, 4)), np.random.default_rng(0).normal(size=(3, 50))):
        for how in ("none", "centre", "pca", "lda"):
            assert np.isfinite(fit_whitening(vectors, np.arange(len(vectors)) % 2, how)(vectors)).all()
