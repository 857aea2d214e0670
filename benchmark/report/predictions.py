"""What a run answered for every test item, kept as Parquet beside its record, so that anyone can score it anew.

The file's metadata say what it is (`describe`); rows are sorted by level, fold and clip. Two identical runs give the same
bytes.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmark.metrics import events
from benchmark.metrics.events import EventClip
from benchmark.metrics.registry import LISTS, PAIRS, score_lists
from benchmark.metrics.scorer import Scorer
from benchmark.report.atomic import write_bytes

_HEADER = b"leveret"
_EVENT = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("label", pa.string())])

Answers = Sequence[tuple[np.ndarray, np.ndarray]]


def predictions_path(folder: Path, task: str, embedding: str, strategy: str, probe: str) -> Path:
    """Where the answers of a run are."""
    return Path(folder) / f"{task}--{embedding}--{strategy}--{probe}.parquet"


def answers_table(ids: Sequence[str], labels: np.ndarray, answers: Mapping[str, Answers]) -> pa.Table:
    """Answers of items: posteriors of classes (float32), numbers, or classes of slots (int32).

    Args:
        ids: n clips' ids.
        labels: of n clips, as the task's kind has them.
        answers: level -> of each fold the clip (m,) of each item and its answer, (m, C) or (D, m, C) of D draws.

    Returns:
        Columns level, fold, clip, draw, frame (its place among those of the clip; 0 for files), target, answer.
    """
    names = _names(ids)
    pieces = [
        _piece(names, labels, level, fold, draw, clip, draws[draw])
        for level in sorted(answers)
        for fold, (clip, given) in enumerate(answers[level])
        for draws in [given if given.ndim == 3 else given[None]]
        for draw in range(len(draws))
    ]
    return pa.concat_tables(pieces).unify_dictionaries()


def _piece(
    names: np.ndarray, labels: np.ndarray, level: str, fold: int, draw: int, clip: np.ndarray, answer: np.ndarray
) -> pa.Table:
    items = len(clip)
    first = np.searchsorted(clip, clip)
    target = labels[clip]
    return pa.table(
        {
            **_place(level, fold, names[clip]),
            "draw": pa.array(np.full(items, draw, np.int16)),
            "frame": pa.array((np.arange(items) - first).astype(np.int32)),
            "target": _vectors(target.astype(np.int32)) if target.ndim == 2 else pa.array(target),
            "answer": _vectors(answer),
        }
    )


def events_table(ids: Sequence[str], folds: Sequence[tuple[np.ndarray, Sequence[EventClip]]], classes) -> pa.Table:
    """Events of test clips; a row a clip.

    Returns:
        Columns level, fold, clip, seconds, target and answer (lists of start, end, label), and the frames of all classes that
        are answered rightly, answered, and true.
    """
    rows = [
        (fold, ids[i], clip) for fold, (clips, found) in enumerate(folds) for i, clip in zip(clips, found, strict=True)
    ]

    def listed(made: np.ndarray) -> list[dict]:
        return [{"start": start, "end": end, "label": classes[int(c)]} for start, end, c in made.tolist()]

    frames = np.array([events.METRICS["frame_f1"].counts(clip) for _, _, clip in rows]).reshape(-1, 3).astype(np.int64)
    return pa.table(
        {
            "level": _words(np.full(len(rows), "file")),
            "fold": pa.array([fold for fold, _, _ in rows], pa.int16()),
            "clip": _words(np.array([str(name) for _, name, _ in rows], dtype=object)),
            "seconds": pa.array([clip.seconds for _, _, clip in rows], pa.float64()),
            "target": pa.array([listed(clip.reference) for _, _, clip in rows], pa.list_(_EVENT)),
            "answer": pa.array([listed(clip.answers) for _, _, clip in rows], pa.list_(_EVENT)),
            "frames_right": pa.array(frames[:, 0]),
            "frames_answered": pa.array(frames[:, 1]),
            "frames_true": pa.array(frames[:, 2]),
        }
    )


def pairs_table(ids: Sequence[str], folds: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> pa.Table:
    """Pairs of clips: of each fold the first and second clip, whether they are the same, and the score.

    Returns:
        Columns level, fold, clip, other, target (bool), answer (float32).
    """
    names = _names(ids)
    pieces = [
        pa.table(
            {
                **_place("file", fold, names[first]),
                "other": _words(names[second]),
                "target": pa.array(same),
                "answer": pa.array(score),
            }
        )
        for fold, (first, second, same, score) in enumerate(folds)
    ]
    return pa.concat_tables(pieces).unify_dictionaries()


def lists_table(ids: Sequence[str], labels: np.ndarray, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> pa.Table:
    """Ranked lists: of each fold the clips that ask (m,), and the nearest others of each (m, k).

    Returns:
        Columns level, fold, clip, target (class), answer (ids of the nearest, in order).
    """
    names = _names(ids)
    pieces = [
        pa.table(
            {
                **_place("file", fold, names[clips]),
                "target": pa.array(labels[clips]),
                "answer": pa.array([names[row].tolist() for row in others], pa.list_(pa.string())),
            }
        )
        for fold, (clips, others) in enumerate(folds)
    ]
    return pa.concat_tables(pieces).unify_dictionaries()


def write_predictions(path: Path, table: pa.Table, header: Mapping[str, Any]) -> None:
    """Write a table of answers, whole or not at all, with what it is: kind, metrics, classes, content key of the run."""
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({_HEADER: text.encode()}), buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())


def describe(path: Path) -> dict[str, Any]:
    """What a file of answers says of itself.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, or no file of answers.
    """
    try:
        return json.loads((pq.read_schema(path).metadata or {})[_HEADER])
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: no file of answers ({error}); delete it and run `dvc repro`") from None


def rescore(path: Path, metrics: Sequence[str] | None = None) -> dict[str, dict[str, list[float]]]:
    """Scores of a file of answers: level -> metric -> score of each fold, the same that its record holds.

    Args:
        metrics: names of metrics; those of the task by default.
    """
    header, table = describe(path), pq.read_table(path)
    metrics = header["metrics"] if metrics is None else metrics
    levels = table["level"].unique().to_pylist()
    scores: dict[str, dict[str, list[float]]] = {}
    for level in sorted(levels):
        rows = table.filter(pc.equal(table["level"].cast(pa.string()), level))
        folds = [rows.filter(pc.equal(rows["fold"], fold)) for fold in range(int(pc.max(rows["fold"]).as_py()) + 1)]
        scores[level] = {name: [_score(name, fold, header) for fold in folds] for name in metrics}
    return scores


def _score(metric: str, rows: pa.Table, header: Mapping[str, Any]) -> float:
    """One metric of one fold."""
    if metric in PAIRS:
        return PAIRS[metric][0](rows["target"].to_numpy(), rows["answer"].to_numpy())
    if metric in LISTS:
        names = rows["clip"].to_pylist()
        place = {name: i for i, name in enumerate(names)}
        others = np.array([[place[name] for name in row] for row in rows["answer"].to_pylist()])
        return score_lists(metric, rows["target"].to_numpy(), np.arange(len(names)), others)
    if metric in events.METRICS:
        return _score_events(metric, rows, header)
    values = None if header.get("values") is None else np.array(header["values"])
    truth, answer = _array(rows["target"]), _array(rows["answer"])
    draw = rows["draw"].to_numpy()
    scorer = Scorer(header["kind"], values)
    return float(np.mean([scorer.score(metric, truth[draw == d], answer[draw == d]) for d in np.unique(draw)]))


def _score_events(metric: str, rows: pa.Table, header: Mapping[str, Any]) -> float:
    if metric == "frame_f1":
        counts = np.array([rows[f"frames_{what}"].to_numpy() for what in ("right", "answered", "true")])
        return float(events.METRICS[metric].score(counts.sum(1)))
    index = {name: c for c, name in enumerate(header["classes"])}
    nothing = np.zeros((0, len(index)), dtype=bool)

    def array(listed: list[dict]) -> np.ndarray:
        return np.array([[e["start"], e["end"], index[e["label"]]] for e in listed], np.float64).reshape(-1, 3)

    clips = [
        EventClip(array(row["target"]), array(row["answer"]), row["seconds"], nothing, nothing)
        for row in rows.to_pylist()
    ]
    return events.METRICS[metric].function(clips)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(column), column.type.list_size)
    return column.to_numpy()


def _vectors(values: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _words(values: np.ndarray) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()


def _names(ids: Sequence[str]) -> np.ndarray:
    return np.array([str(name) for name in ids], dtype=object)


def _place(level: str, fold: int, clips: np.ndarray) -> dict[str, pa.Array]:
    """The columns that say where rows belong: of one level and fold, clips by name."""
    count = len(clips)
    return {
        "level": _words(np.full(count, level)),
        "fold": pa.array(np.full(count, fold, np.int16)),
        "clip": _words(clips),
    }
