"""Divide groups of clips into parts of given sizes so that every part has its share of every class."""

import numpy as np

# Cost of a class that a part lacks though it has enough groups: above any imbalance, and worse by priority of the part.
_MISSING = 1e3
_SWAPS = 2000
_STEPS = 400
_IDLE = 4


class _Balance:
    """Cost of parts by the class counts (B, C + 1) that they hold; the last column counts clips."""

    def __init__(self, counts: np.ndarray, fractions: np.ndarray, priority: np.ndarray):
        self.share = counts / counts.sum(0)
        self.fractions = fractions[:, None]
        classes = counts.shape[1] - 1
        # The size of a part weighs as much as all classes together.
        self.weights = np.append(np.full(classes, 1 / classes), 1.0)
        self.missing = _MISSING * priority

    def cost(self, held: np.ndarray, parts: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Cost of parts that hold shares (..., C + 1)."""
        fractions = self.fractions[parts]
        imbalance = ((held - fractions) ** 2 / fractions * self.weights).sum(-1)
        return imbalance + self.missing[parts] * (held[..., :-1] <= 1e-12).sum(-1)


def allocate(
    counts: np.ndarray,
    sizes: np.ndarray,
    fractions: np.ndarray,
    rng: np.random.Generator,
    priority: np.ndarray | None = None,
) -> np.ndarray:
    """Assign groups to parts: greedily, the hardest to place first, then by the best moves and swaps.

    The cost is the squared deviation of each class's share in a part from the part's fraction, so rare classes count
    as much as common ones, whether groups hold one class or many.

    Args:
        counts: (G, C) clips of each class in each group.
        sizes: (G,) clips of each group.
        fractions: (B,) wanted part of all clips in each part, summing to 1.
        rng: Breaks ties and draws swaps.
        priority: (B,) how bad it is that a part lacks a class, 1 by default.

    Returns:
        (G,) int64 part of each group.
    """
    counts = np.column_stack([counts[:, counts.sum(0) > 0], sizes]).astype(np.float64)
    fractions = np.asarray(fractions, dtype=np.float64)
    balance = _Balance(counts, fractions, np.ones(len(fractions)) if priority is None else priority)
    share = balance.share

    order = rng.permutation(len(share))
    # Groups with much of a rare class first.
    order = order[np.argsort(-share[order, :-1].max(1, initial=0), kind="stable")]
    held = np.zeros((len(fractions), share.shape[1]))
    part = np.empty(len(share), dtype=np.int64)
    for group in order:
        gain = balance.cost(held + share[group]) - balance.cost(held)
        # Of equal gains, the part that is emptiest for its size.
        part[group] = np.lexsort((held[:, -1] / fractions, np.round(gain, 12)))[0]
        held[part[group]] += share[group]
    return _improve(part, share, balance, rng)


def _improve(part: np.ndarray, share: np.ndarray, balance: _Balance, rng: np.random.Generator) -> np.ndarray:
    """Take the best move of a group or swap of two, as long as there is one."""
    parts, groups = len(balance.fractions), len(share)
    held = np.zeros((parts, share.shape[1]))
    np.add.at(held, part, share)
    idle = 0
    for _ in range(_STEPS):
        cost = balance.cost(held)
        candidates = np.arange(groups) if groups <= _SWAPS else rng.choice(groups, _SWAPS, replace=False)
        moving = share[candidates]
        leave = balance.cost(held[part[candidates]] - moving, part[candidates]) - cost[part[candidates]]
        enter = balance.cost(held[None] + moving[:, None]) - cost
        change = leave[:, None] + enter
        change[np.arange(len(candidates)), part[candidates]] = 0
        group, target = np.unravel_index(np.argmin(change), change.shape)
        best = change[group, target]
        first, second = rng.integers(groups, size=(2, _SWAPS))
        difference = share[second] - share[first]
        a, b = part[first], part[second]
        swap = balance.cost(held[a] + difference, a) + balance.cost(held[b] - difference, b) - cost[a] - cost[b]
        swap[a == b] = 0
        pair = np.argmin(swap)
        if min(best, swap[pair]) >= -1e-12:
            # Swaps are sampled, so a few draws without one are no proof.
            idle += 1
            if idle == _IDLE:
                break
            continue
        idle = 0
        moves = (
            [(candidates[group], target)] if best <= swap[pair] else [(first[pair], b[pair]), (second[pair], a[pair])]
        )
        for mover, to in moves:
            held[part[mover]] -= share[mover]
            held[to] += share[mover]
            part[mover] = to
    return part
