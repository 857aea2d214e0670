"""What became of a stage's pieces."""

from dataclasses import dataclass, field


@dataclass(frozen=True, order=True)
class Failure:
    """A piece that could not be made."""

    piece: str
    reason: str


@dataclass
class Outcome:
    """Counts of a stage: pieces made now, pieces found finished, pieces that failed."""

    computed: int = 0
    reused: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        """Add the counts of `other`."""
        self.computed += other.computed
        self.reused += other.reused
        self.failures += other.failures
        self.notes += other.notes
