"""Events in time: a probe of frames, one class against the rest, then smoothing; both chosen on the validation part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.config.schema_probe import ProbeSettings
from benchmark.config.schema_task import SmoothingConfig
from benchmark.metrics.events import METRICS, EventClip, EventMetric
from benchmark.metrics.folds import Split
from benchmark.metrics.scorer import Scorer
from benchmark.probes.control import shuffle
from benchmark.probes.data import FrameTable
from benchmark.probes.registry import Question, default_settings, solver
from benchmark.probes.run import FoldReport, ProbeResult, selection
from benchmark.probes.smoothing import Smoothing, candidates, frame_labels, to_events


@dataclass(frozen=True)
class Recording:
    """A clip with what happens in it.

    Attributes:
        times: (n,) centres of its frames in seconds.
        events: (m, 3) float64 start and end in seconds, and class.
    """

    times: np.ndarray
    events: np.ndarray

    @property
    def seconds(self) -> float:
        """How far its frames reach."""
        return float(
            self.times[-1] + (self.times[-1] - self.times[-2]) / 2 if len(self.times) > 1 else 2 * self.times[0]
        )


@dataclass(frozen=True)
class Detected:
    """Events that were found in the test clips of a fold.

    Attributes:
        clip: (m,) int64.
        answers: m clips with reference and answer.
    """

    clip: np.ndarray
    answers: list[EventClip]


def run_detection(
    table: FrameTable,
    recordings: Sequence[Recording],
    splits: Sequence[Split],
    probe: str,
    settings: ProbeSettings | None,
    metrics: Sequence[str],
    n_classes: int,
    smoothing: SmoothingConfig,
    *,
    seed: int = 0,
    shuffle_labels: bool = False,
    device: str = "cpu",
) -> tuple[ProbeResult, list[Detected]]:
    """Train, choose and score a detector on every fold.

    The probe learns from the training clips' frames (of each at most `max_frames_per_clip`), labelled by what is on at
    their centres, and is chosen by mean average precision over validation frames; then the smoothing is chosen by the
    first metric over validation clips, the first of equals. Test clips are answered once, with all their frames.

    Args:
        table: Frames.
        recordings: Of each clip.
        splits: Folds over clips.
        probe, settings: See `benchmark.probes.run.run_probe`.
        metrics: Names in `benchmark.metrics.events.METRICS`; the first is the primary one.
        n_classes: C.
        smoothing: What may be chosen.
        seed: Of everything random.
        shuffle_labels: Run the control: whole clips change their events.

    Raises:
        ValueError: The table has no frames, or settings are of another probe.
    """
    if not table.has_frames:
        raise ValueError("events are found in frames, and the table has none")
    solve, defaults = solver(probe), default_settings(probe)
    settings = settings or defaults
    if not isinstance(settings, type(defaults)):
        raise ValueError(f"{type(settings).__name__} are not the settings of probe {probe!r}")
    if shuffle_labels:
        order = shuffle(np.arange(len(recordings)), splits, None, seed).labels
        recordings = [Recording(old.times, recordings[i].events) for old, i in zip(recordings, order, strict=True)]
    clips = np.arange(table.n_clips)
    rows, clip = table.rows(clips)
    truth = np.concatenate([frame_labels(r.events, r.times, n_classes) for r in recordings])
    kept = np.zeros(len(rows), dtype=bool)
    kept[table.rows(clips, settings.max_frames_per_clip)[0]] = True
    parts = [Split(*(np.flatnonzero(np.isin(clip, part)) for part in (s.train, s.valid, s.test))) for s in splits]
    learnt = [Split(split.train[kept[split.train]], split.valid, split.test) for split in parts]
    features = table.frames(rows).to(device)
    score = selection("map", truth, learnt, Scorer("multilabel"))
    fit = solve(features, Question("multilabel", truth, learnt, n_classes, score, clip, seed), settings)
    first, ways = METRICS[metrics[0]], candidates(smoothing)
    scores: dict[str, list[float]] = {name: [] for name in metrics}
    reports, found = [], []
    for fold, (split, items, choice) in enumerate(zip(splits, parts, fit.choices(), strict=True)):
        posterior = fit.posterior(fold, features[np.concatenate([items.valid, items.test])])
        if posterior.ndim == 3:
            raise ValueError(f"{probe} draws several models, which find no events together; use logistic")
        of_clip = np.split(posterior, np.cumsum([len(recordings[i].times) for i in [*split.valid, *split.test]])[:-1])
        given = dict(zip([*split.valid.tolist(), *split.test.tolist()], of_clip, strict=True))
        way, value = _best(ways, first, [(recordings[i], given[i]) for i in split.valid.tolist()], n_classes)
        heard = [(recordings[i], given[i]) for i in split.test.tolist()]
        answers = [_answer(clip, way.decide(posterior, clip.times), n_classes) for clip, posterior in heard]
        for name in metrics:
            scores[name].append(METRICS[name].function(answers))
        chosen = {**choice, **way.chosen(), "valid": value}
        reports.append(FoldReport(len(split.train), len(split.valid), len(split.test), chosen))
        found.append(Detected(split.test, answers))
    return ProbeResult({"file": scores}, {}, reports, None), found


def _best(
    ways: Sequence[Smoothing], metric: EventMetric, clips: Sequence[tuple[Recording, np.ndarray]], n_classes: int
) -> tuple[Smoothing, float | None]:
    """The smoothing with the best score of some clips, and that score; the first where none can be scored."""
    best, chosen = None, ways[0]
    drawn: dict[Smoothing, list[np.ndarray]] = {}
    for way in ways:
        # Ways that differ in what is too short alone share the rest of the work.
        root = replace(way, shortest_s=0.0)
        if root not in drawn:
            drawn = {root: [root.drawn(posterior, recording.times) for recording, posterior in clips]}
        decided = [way.without_short(on, clip.times) for on, (clip, _) in zip(drawn[root], clips, strict=True)]
        value = metric.function([_answer(clip, on, n_classes) for on, (clip, _) in zip(decided, clips, strict=True)])
        if np.isfinite(value) and (best is None or (value > best if metric.higher_is_better else value < best)):
            best, chosen = value, way
    return chosen, best


def _answer(recording: Recording, on: np.ndarray, n_classes: int) -> EventClip:
    truth = frame_labels(recording.events, recording.times, n_classes) > 0
    return EventClip(recording.events, to_events(on, recording.times), recording.seconds, truth, on)
