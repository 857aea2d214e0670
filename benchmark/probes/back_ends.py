"""Back-ends of a comparison: what a training part teaches about vectors, and how two of them are scored."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.config.schema_probe import BackEndName
from benchmark.metrics.retrieval import ranked
from benchmark.probes.plda import Plda, fit_plda, is_enough
from benchmark.probes.whitening import fit_whitening

_ROWS = 8192


@dataclass(frozen=True)
class BackEnd:
    """A map of vectors, and the cosine of their angle or a likelihood ratio of what it gives.

    Attributes:
        map: Vectors (n, F) to vectors (n, D) of length one.
        plda: The model of these; None: they are compared by cosine.
    """

    map: Callable[[np.ndarray], np.ndarray]
    plda: Plda | None = None

    def represent(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (n, F) as they are compared, (n, D)."""
        return self.map(vectors) if self.plda is None else self.plda.project(self.map(vectors))

    def pairs(self, clips: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Scores (m,) float32 of pairs of represented clips (n, D), given by two (m,) indices; higher is more alike."""
        blocks = [
            self.against(clips[first[rows : rows + _ROWS]], clips[second[rows : rows + _ROWS]])
            for rows in range(0, len(first), _ROWS)
        ]
        return np.concatenate([np.zeros(0), *blocks]).astype(np.float32)

    def against(self, asked: np.ndarray, means: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
        """Scores (m,) of represented clips (m, D) against means (m, D) of so many (m,) represented clips each, one by default."""
        if self.plda is not None:
            return self.plda.ratios(asked, means, np.ones(len(means)) if counts is None else counts)
        length = np.linalg.norm(means, axis=1)
        return np.einsum("ij,ij->i", asked, means) / np.where(length > 0, length, 1.0)

    def lists(self, clips: np.ndarray, k: int) -> np.ndarray:
        """Of represented clips (n, D) the `k` others that are most alike, see `ranked`."""
        return ranked(*((clips,) if self.plda is None else self.plda.lists(clips)), k=k)


def fit_back_ends(
    vectors: np.ndarray, labels: np.ndarray, names: Sequence[BackEndName]
) -> Iterator[tuple[BackEndName, BackEnd]]:
    """Learn back-ends from the vectors (n, F) and identities (n,) of a training part, one after another.

    `plda` models what `lda` gives: vectors of length one (Garcia-Romero & Espy-Wilson, Interspeech 2011) in no more
    dimensions than identities tell apart. Where identities are too few for it, it is left out of several.

    Raises:
        ValueError: `plda` alone is asked for, and identities are too few.
    """
    maps: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name in names:
        if name == "plda" and len(names) > 1 and not is_enough(labels):
            continue
        how = "lda" if name == "plda" else name
        if how not in maps:
            maps[how] = fit_whitening(vectors, labels, how)
        yield name, BackEnd(maps[how], fit_plda(maps[how](vectors), labels) if name == "plda" else None)
