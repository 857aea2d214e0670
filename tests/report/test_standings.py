import warnings

import numpy as np
import pytest
from scipy.stats import wilcoxon

from benchmark.report.grid import Grid
from benchmark.report.rank_blocks import rank_blocks
from benchmark.report.rank_plot import draw_ranks
from benchmark.report.standings import Standings
from benchmark.report.tables import markdown
from tests.report.conftest import make_record
from tests.report.test_plots import pixels

# HARES, Table 4: six networks on twelve tasks, in per cent.
HARES = {
    "nfnet": [37.8, 77.6, 96.8, 91.1, 91.7, 93.0, 90.4, 64.9, 46.1, 88.0, 78.2, 39.5],
    "resnet": [36.6, 77.9, 92.3, 90.5, 88.8, 91.5, 89.2, 59.4, 38.3, 83.2, 73.5, 38.8],
    "wav2vec": [14.8, 60.9, 49.3, 69.2, 95.1, 94.8, 91.2, 41.6, 55.3, 34.6, 40.2, 31.7],
    "cpc": [28.7, 77.6, 90.9, 79.2, 92.0, 92.4, 89.1, 40.7, 47.9, 78.1, 58.4, 36.3],
    "byol": [26.1, 77.1, 76.3, 82.3, 90.1, 89.7, 83.9, 39.5, 31.3, 71.4, 73.6, 37.1],
    "cnn14": [37.8, 78.0, 88.9, 93.6, 71.4, 76.4, 78.5, 30.9, 22.8, 58.4, 71.4, 39.4],
}
DOMAINS = ["environment"] * 4 + ["speech"] * 5 + ["music"] * 3


@pytest.fixture(scope="module")
def hares():
    return Standings(
        Grid(
            make_record(f"task-{i:02}", name, domain=DOMAINS[i], values=[value / 100] * 2)
            for name, values in HARES.items()
            for i, value in enumerate(values)
        )
    )


def test_the_score_of_hares_is_its_papers(hares):
    found = {standing.embedding: standing.hares.text() for standing in hares.of()}
    assert found == {
        "nfnet": "74.6",
        "resnet": "71.7",
        "wav2vec": "56.6",
        "cpc": "67.6",
        "byol": "64.9",
        "cnn14": "62.3",
    }
    of_music = {standing.embedding: standing.hares.text() for standing in hares.of("music")}
    assert of_music["nfnet"] == f"{np.mean(HARES['nfnet'][9:]):.1f}"


def test_ranks_and_pairs(hares):
    significance = hares.significance
    assert significance.embeddings[0] == "nfnet" and significance.left_out == [] and len(significance.tasks) == 12
    assert significance.ranks == sorted(significance.ranks)
    # Demšar's critical value for six is 2.850.
    assert significance.difference == pytest.approx(2.850 * np.sqrt(6 * 7 / (6 * 12)), rel=5e-4)
    assert len(hares.pairs) == 15
    pair = next(pair for pair in hares.pairs if {pair.first, pair.second} == {"nfnet", "resnet"})
    assert (pair.won, pair.tied, pair.lost) == (11, 0, 1)
    differences = np.round(np.subtract(HARES["nfnet"], HARES["resnet"]) / 100, 6)
    assert pair.difference == pytest.approx(differences.mean())
    assert wilcoxon(differences).pvalue <= pair.p <= 15 * wilcoxon(differences).pvalue + 1e-9
    assert hares.belief("nfnet", "cnn14").first > 0.9 > hares.belief("cnn14", "nfnet").first


def test_the_tables_of_ranks(hares):
    text = markdown(rank_blocks(hares))
    assert "| nfnet | 74.6 | " in text and "### Against nfnet, the best by rank" in text
    assert "| resnet | " in text and "11–0–1" in text and "Friedman's test over 12 tasks and 6 embeddings" in text
    matrix = text[text.index("### Every two") :].splitlines()
    assert len([line for line in matrix if line.startswith("|")]) == 2 + 5


def test_what_is_missing_is_left_out_and_named():
    records = [make_record(f"t{i}", f"e{j}") for i in range(4) for j in range(4) if j < 3 or i == 0]
    standings = Standings(Grid(records))
    assert standings.significance.left_out == ["e3"] and len(standings.significance.tasks) == 4
    assert "Left out since scores are missing: e3" in markdown(rank_blocks(standings))


@pytest.mark.parametrize(("tasks", "embeddings"), [(1, 5), (5, 2), (1, 1), (0, 0)])
def test_too_little_has_standings_and_no_tests(tasks, embeddings):
    standings = Standings(Grid(make_record(f"t{i}", f"e{j}") for i in range(tasks) for j in range(embeddings)))
    assert standings.significance is None
    assert len(rank_blocks(standings)) == min(tasks, 1)


def test_less_is_better_where_it_is():
    def eer(task, name, value):
        scores = {"file": {"eer": {"folds": [value] * 2, "mean": value, "std": 0.0}}}
        return make_record(task, name, primary="eer", scores=scores, shuffled=None)

    standings = Standings(Grid([eer(f"t{i}", f"e{j}", 0.1 * (j + 1)) for i in range(3) for j in range(3)]))
    assert standings.significance.embeddings == ["e0", "e1", "e2"]
    assert [standing.borda.mean for standing in standings.of()] == [1.0, 0.5, 0.0]
    assert all(pair.difference > 0 and pair.won == 3 for pair in standings.pairs)


@pytest.mark.parametrize(
    ("count", "name"), [(3, "e"), (12, "an-embedding-with-a-very-long-name-that-never-ends"), (30, "e")]
)
def test_nothing_of_the_plot_is_cut_at_the_edges(count, name):
    records = [make_record(f"t{i}", f"{name}-{j}") for i in range(4) for j in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = pixels(draw_ranks(Standings(Grid(records)).significance))
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()


def test_the_plot_has_a_line_an_embedding_and_the_bars(hares):
    axes = draw_ranks(hares.significance).axes[0]
    assert {round(line.get_xdata()[0], 6) for line in axes.lines} == {
        round(rank, 6) for rank in hares.significance.ranks
    }
    texts = " ".join(text.get_text() for text in axes.texts)
    assert all(name in texts for name in HARES) and f"critical difference {hares.significance.difference:.2f}" in texts
