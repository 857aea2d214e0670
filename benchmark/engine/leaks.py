"""The same sound on both sides of a fold: what groups are there to prevent, seen in the bytes."""

from collections.abc import Container, Mapping, Sequence

from benchmark.engine.items import TaskItems
from benchmark.metrics.folds import Split


def leaked_sounds(
    items: TaskItems, splits: Sequence[Split], digests: Mapping[str, str], lost: Container[str] = ()
) -> list[tuple[str, str]]:
    """Pairs of clips with the same audio, the first in a test part, the second in the training or validation part of the
    same fold; a pair for each test clip that has been heard before.

    Args:
        items: the task's clips.
        splits: its folds.
        digests: clip id -> digest of its audio.
        lost: ids of clips that cannot be read and are no sound.
    """
    found: dict[str, str] = {}
    for split in splits:
        heard = {digests[items.ids[i]]: items.ids[i] for part in (split.valid, split.train) for i in part}
        for i in split.test:
            clip = items.ids[i]
            if clip not in lost and digests[clip] in heard:
                found.setdefault(clip, heard[digests[clip]])
    return sorted(found.items())


def leak_text(pairs: Sequence[tuple[str, str]], groups: Mapping[str, str]) -> str:
    """What is wrong, in a line."""
    test, train = pairs[0]
    return (
        f"{len(pairs)} test clips have the same audio as a clip that the probe learns from (first: {test} of group "
        f"{groups[test]} = {train} of group {groups[train]}); give both the same group, or drop one"
    )
