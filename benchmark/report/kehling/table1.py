"""Table 1 from the data: files a class, rate, bits and minutes of each dataset that is here, beside the paper's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.report.blocks import Block, Entry, Row
from benchmark.report.kehling.paper import DatasetFacts


@dataclass(frozen=True)
class AudioFacts:
    """What the files of a dataset are: label -> files, Hz -> files, bits -> files, and minutes in all."""

    classes: Mapping[str, int]
    rates_hz: Mapping[int, int]
    bits: Mapping[int, int]
    minutes: float


def table1_block(
    paper: Sequence[DatasetFacts], ours: Mapping[str, AudioFacts], others: Mapping[str, AudioFacts]
) -> Block:
    """The paper's rows, each with ours below it where the data are here; then the rendered counterparts.

    Args:
        paper: the paper's rows.
        ours: dataset -> its facts, of those of the paper that are here.
        others: the same of the sets that stand for them.
    """
    rows = []
    for facts in paper:
        classes = ", ".join(f"{name} {count}" for name, count in facts.classes.items()) or "–"
        texts = [facts.use, classes, _known(facts.rate_hz), _known(facts.bits), _known(facts.minutes)]
        rows.append(Row(f"{facts.title}, paper", [Entry(text) for text in texts]))
        if facts.dataset in ours:
            rows.append(_row(f"{facts.title}, here", facts.use, ours[facts.dataset]))
    below = [_row(name, "rendered", facts) for name, facts in others.items()]
    note = "Several rates or numbers of bits are given with the number of files of each. Minutes are of the clips used."
    return Block(
        "Table 1: data", "dataset", ["use", "classes [files]", "rate (Hz)", "bits", "minutes"], rows, below, [note]
    )


def _row(name: str, use: str, facts: AudioFacts) -> Row:
    classes = ", ".join(f"{label} {count}" for label, count in sorted(facts.classes.items()))
    texts = [use, classes, _mixed(facts.rates_hz), _mixed(facts.bits), f"{facts.minutes:.1f}"]
    return Row(name, [Entry(text) for text in texts])


def _mixed(values: Mapping[int, int]) -> str:
    ordered = Counter(values).most_common()
    if len(ordered) == 1:
        return str(ordered[0][0])
    return ", ".join(f"{value} [{count}]" for value, count in ordered) or "–"


def _known(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
