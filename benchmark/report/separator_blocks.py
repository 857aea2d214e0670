"""The table of separators: a block a task, with the spread over folds and over tracks, and what each number is made by."""

import statistics
from collections.abc import Sequence

from benchmark.report.blocks import Block, Entry, Row, mark_best
from benchmark.report.records import RunRecord
from benchmark.report.scales import metric_title, scale_of

_LEVEL = "track"
_ORACLE = "oracle"
_LEGEND = (
    "Mean ± standard deviation over folds; over tracks: ± standard deviation of the test tracks of all folds (their number). "
    "Bold: best of what knows no stem; italic: within one standard deviation of it. Oracles are floor and ceilings."
)
# Metric of a package -> the package and its mode.
_PACKAGES = {
    "pesq_wb": ("pesq", "wide band, ITU-T P.862.2, MOS-LQO"),
    "stoi": ("pystoi", "Taal et al. 2011"),
}


def separator_blocks(of_task: dict[str, list[RunRecord]]) -> list[Block]:
    """The blocks of separation tasks, from task -> its records, in that order."""
    return [_block(found) for found in of_task.values() if found[0].kind == "separation"]


def _block(records: list[RunRecord]) -> Block:
    primary = records[0].primary
    scale = scale_of(primary)
    best_first = sorted(records, key=lambda record: (-_key(record), record.identity))
    levels = sorted({level for record in records for level in record.scores} - {_LEVEL})
    others = sorted({metric for record in records for metric in record.scores[_LEVEL]} - {primary})
    columns = [metric_title(primary), "over tracks", *levels, *map(metric_title, others), "parameters"]
    learned = [record for record in best_first if record.strategy != _ORACLE]
    scores = [record.scores[_LEVEL][primary] for record in learned]
    marks = dict(
        zip((record.identity for record in learned), mark_best([(s.mean, s.std) for s in scores], scale), strict=True)
    )
    rows = []
    for record in best_first:
        score, spread = record.scores[_LEVEL][primary], record.track_scores()
        cells = [
            Entry(scale.cell(score.mean, score.std), marks.get(record.identity, "")),
            Entry(f"± {scale.number(statistics.stdev(spread))} ({len(spread)})" if len(spread) > 1 else ""),
            *(_entry(record, level, primary) for level in levels),
            *(_entry(record, _LEVEL, metric) for metric in others),
            Entry(_parameters(record)),
        ]
        rows.append(Row(record.label, cells))
    notes = [_LEGEND, *_packages(records), *_silences(records)]
    return Block(f"{records[0].title} ({records[0].task})", "Separator", columns, rows, [], notes)


def _key(record: RunRecord) -> float:
    mean = record.scores[_LEVEL][record.primary].mean
    sign = 1 if scale_of(record.primary).higher_is_better else -1
    return float("-inf") if mean is None else sign * mean


def _entry(record: RunRecord, level: str, metric: str) -> Entry:
    score = record.scores.get(level, {}).get(metric)
    return Entry(scale_of(metric).cell(score.mean, score.std) if score else "")


def _parameters(record: RunRecord) -> str:
    counts = [fold.chosen["parameters"] for fold in record.folds if "parameters" in fold.chosen]
    return f"{counts[0]:,}" if counts else ""


def _packages(records: Sequence[RunRecord]) -> list[str]:
    metrics = {metric for record in records for metric in record.scores[_LEVEL]}
    said = []
    for metric, (package, mode) in _PACKAGES.items():
        if metric in metrics:
            versions = {str(record.provenance.get("versions", {}).get(package, "")) for record in records}
            said.append(f"{metric_title(metric)}: package {package} {', '.join(sorted(versions - {''}))} ({mode}).")
    return said


def _silences(records: Sequence[RunRecord]) -> list[str]:
    """What is left out of BSS Eval v4."""
    tracks = [track for record in records for track in record.tracks or []]
    windows, silent = sum(track.windows for track in tracks), sum(track.silent_windows for track in tracks)
    if not windows:
        return []
    return [
        f"{records[0].title}: {silent} of {windows} windows (all separators together) have no BSS Eval v4 score, since a source "
        "or an estimate is silent."
    ]
