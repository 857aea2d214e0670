"""Tables of who stands where over tasks, and of which differences are more than chance."""

from benchmark.report.blocks import Block, Entry, Row
from benchmark.report.grid import Average
from benchmark.report.standings import ROPE, Pair, Standings

_MEANING = (
    "Mean: plain mean over tasks scored in per cent, as HARES has it; (n/N) says how many of the N there are. HEAR: its "
    "normalised score, standardised over the embeddings here and clamped to ±1 task by task. Mean rank: 1 is the best. "
    "Borda: per cent of the other embeddings that it beats, over tasks."
)


def rank_blocks(standings: Standings) -> list[Block]:
    """The standings, each embedding against the best, and every two; what needs more embeddings or tasks is left out."""
    grid = standings.grid
    if not grid.embeddings:
        return []
    overall = standings.of()
    of_domain = {domain: standings.of(domain) for domain in grid.domains}
    rows = [
        Row(
            standing.embedding,
            [
                Entry(standing.hares.text()),
                *(Entry(found[i].hares.text()) for found in of_domain.values()),
                Entry(_plain(standing.hear)),
                Entry(standing.rank.text(factor=1.0)),
                Entry(standing.borda.text()),
            ],
        )
        for i, standing in enumerate(overall)
    ]
    columns = ["Mean", *(f"Mean, {domain}" for domain in grid.domains), "HEAR", "Mean rank", "Borda"]
    blocks = [Block("Standings over tasks", "Embedding", columns, rows, [], [_MEANING])]
    significance = standings.significance
    if significance is None:
        return blocks
    blocks[0].notes.append(_friedman(standings))
    best = significance.embeddings[0]
    against = [pair for pair in standings.pairs if pair.first == best]
    blocks.append(
        Block(
            f"Against {best}, the best by rank",
            "Embedding",
            ["Rank", "Won–tied–lost", "Difference", "p", "P(best better)", "P(as good)", "P(other better)"],
            [_against(pair, standings, dict(zip(significance.embeddings, significance.ranks, strict=True))) for pair in against],
            [],
            [
                f"Over {len(significance.tasks)} tasks that all of them have. Difference: mean, in points. p: Wilcoxon's "
                "signed-rank test, Holm-corrected over every two embeddings. P: Bayesian signed-rank test; as good is "
                f"within {100 * ROPE:g} point on average."
            ],
        )
    )  # fmt: skip
    blocks.append(_matrix(standings.pairs))
    return blocks


def _friedman(standings: Standings) -> str:
    found = standings.significance
    text = (
        f"Friedman's test over {len(found.tasks)} tasks and {len(found.embeddings)} embeddings: "
        f"chi-squared {found.friedman.chi2:.2f}, p = {found.friedman.p:.2g}; Nemenyi's critical difference of mean ranks "
        f"at 5 %: {found.difference:.2f}."
    )
    if found.left_out:
        text += f" Left out since scores are missing: {', '.join(found.left_out)}."
    return text


def _against(pair: Pair, standings: Standings, ranks: dict[str, float]) -> Row:
    belief = standings.belief(pair.first, pair.second)
    chances = [belief.first, belief.same, belief.second] if belief else [None] * 3
    return Row(
        pair.second,
        [
            Entry(f"{ranks[pair.second]:.1f}"),
            Entry(f"{pair.won}–{pair.tied}–{pair.lost}"),
            Entry("–" if pair.difference is None else f"{100 * pair.difference:+.1f}"),
            Entry(_p(pair.p)),
            *(Entry("–" if chance is None else f"{chance:.2f}") for chance in chances),
        ],
    )


def _matrix(pairs: list[Pair]) -> Block:
    """p of every two; below the diagonal nothing."""
    p = {(pair.first, pair.second): pair.p for pair in pairs}
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second)))
    rows = [
        Row(first, [Entry(_p(p[first, second])) if (first, second) in p else Entry() for second in names[1:]])
        for first in names[:-1]
    ]
    note = "p of no difference: Wilcoxon's signed-rank test over tasks, Holm-corrected over every two embeddings."
    return Block("Every two embeddings", "p", names[1:], rows, [], [note])


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plain(average: Average) -> str:
    return "–" if average.mean is None else f"{average.mean:+.2f}"
