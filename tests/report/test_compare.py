import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.report.compare import compare
from benchmark.report.compare_text import comparison_markdown, print_comparison
from benchmark.report.leaderboard import leaderboard, write_leaderboard
from benchmark.report.revisions import compare_revisions, read_leaderboard
from tests.report.conftest import score

INGREDIENTS = {"audio": "a" * 16, "weights": "b" * 16, "seed": "c" * 16}
ROOT = Path(__file__).resolve().parents[2]


def table(*records, pending=()):
    text = leaderboard(records, pending).to_csv(index=False, float_format="%.4f")
    return read_leaderboard(text, "leaderboard.csv")


@pytest.fixture
def run(record):
    def make(task="t", values=(0.80, 0.90), **changes):
        return record(task, **{"values": list(values), "ingredients": INGREDIENTS, **changes})

    return make


def test_the_same_folds_are_compared_one_by_one(run):
    """Differences -0.20, -0.25, -0.21: mean -0.22, deviation 0.02646, times the root of 1/3 + 1/2."""
    (change,) = compare(table(run(values=[0.80, 0.90, 0.70])), table(run(values=[0.60, 0.65, 0.49]))).changes
    assert change.difference == pytest.approx(-0.22)
    assert change.standard_error == pytest.approx(0.0264575 * math.sqrt(1 / 3 + 1 / 2), rel=1e-4)
    assert change.gain == pytest.approx(-0.22 / change.standard_error)


def test_other_folds_are_compared_as_a_whole(run):
    (change,) = compare(table(run(values=[0.80, 0.90])), table(run(values=[0.60, 0.64, 0.62]))).changes
    expected = math.sqrt(0.0707**2 / 2 + 0.02**2 / 3)
    assert change.standard_error == pytest.approx(expected)
    assert change.gain == pytest.approx(-0.23 / expected)
    other = run(values=[0.60, 0.64], ingredients={**INGREDIENTS, "annotation": "d" * 16})
    (change,) = compare(table(run(values=[0.80, 0.90])), table(other)).changes
    assert change.standard_error == pytest.approx(math.sqrt(0.0707**2 / 2 + 0.0283**2 / 2), rel=1e-3)


def test_a_single_fold_is_compared_by_its_intervals(run):
    def one(value):
        scores = {
            "file": {
                "accuracy": {"folds": [value], "mean": value, "std": None, "interval": [value - 0.02, value + 0.02]}
            }
        }
        return table(run("one", scores=scores))

    (change,) = compare(one(0.8), one(0.7)).changes
    assert change.standard_error == pytest.approx(math.hypot(0.02, 0.02) / 1.96)
    assert len(compare(one(0.8), one(0.7)).regressions()) == 1
    assert compare(one(0.8), one(0.79)).regressions() == []


def test_a_planted_regression_is_found_and_noise_is_not(run):
    old = table(run("a", [0.90, 0.91, 0.92, 0.9]), run("b", [0.80, 0.90, 0.85, 0.8]), run("c", [0.5, 0.6, 0.5, 0.5]))
    new = table(run("a", [0.80, 0.81, 0.82, 0.8]), run("b", [0.79, 0.91, 0.84, 0.7]), run("c", [0.9, 0.95, 0.9, 0.9]))
    comparison = compare(old, new)
    assert [change.row[0] for change in comparison.regressions()] == ["a"]
    assert [change.row[0] for change in comparison.improvements()] == ["c"]
    assert len(comparison.moved) == 3


def test_a_clip_more_in_every_fold_is_noise(run):
    """All folds by the same step: no spread, and yet no more than one clip each."""
    clips = {"clips": {"used": 50, "lost": []}}
    old, new = run(values=[0.9] * 5, **clips), run(values=[0.8] * 5, **clips)
    assert compare(table(old), table(new)).regressions() == []
    assert len(compare(table(old), table(run(values=[0.3] * 5, **clips))).regressions()) == 1


def test_a_small_loss_on_every_task_is_found_though_no_run_shows_it(run):
    def of(loss):
        return table(*[run(f"t{i}", np.array([0.9, 0.8, 0.7 + 0.01 * i]) - loss) for i in range(12)])

    comparison = compare(of(0), of(0.01))
    assert comparison.regressions() == [] and comparison.is_loss()
    assert (comparison.trend.gain, comparison.trend.tasks) == (pytest.approx(-0.01), 12)
    assert not compare(of(0), of(-0.01)).is_loss() and not compare(of(0), of(0)).is_loss()


@pytest.mark.slow
def test_noise_alone_rarely_alarms():
    """100 pairs of leaderboards of 60 runs, new draws of the same five folds: at most 5 % with any alarm."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        folds = np.clip(rng.normal(0.8, 0.05, (60, 5)), 0, 1)
        before, after = (np.round(np.clip(folds + rng.normal(0, 0.03, folds.shape), 0, 1) * 30) / 30 for _ in "ab")
        alarms += compare(_drawn(before), _drawn(after)).is_loss()
    assert alarms / 100 <= 0.05


def _drawn(scores):
    rows = ["task,embedding,strategy,probe,level,metric,mean,std,folds,clips,scores"]
    for i, folds in enumerate(scores):
        shown = " ".join(f"{value:.4f}" for value in folds)
        rows.append(f"t{i:02},e,frozen,p,file,accuracy,{folds.mean():.4f},{folds.std(ddof=1):.4f},5,150,{shown}")
    return read_leaderboard("\n".join(rows) + "\n", "drawn.csv")


def test_an_error_that_falls_is_no_regression(run):
    def eer(value):
        return table(run(primary="eer", scores={"file": {"eer": score([value, value + 0.01, value, value])}}))

    assert compare(eer(0.3), eer(0.1)).regressions() == []
    assert len(compare(eer(0.1), eer(0.3)).regressions()) == 1


def test_new_gone_recomputed_and_the_cause(run):
    changed = {**INGREDIENTS, "weights": "d" * 16}
    old = table(run("gone"), run("moved"), run("same"), run("still"))
    new = table(
        run("new"), run("moved", [0.7, 0.9], ingredients=changed), run("same", ingredients=changed), run("still")
    )
    comparison = compare(old, new)
    assert [row[0] for row in comparison.new] == ["new"] and [row[0] for row in comparison.gone] == ["gone"]
    assert [(change.row[0], change.causes) for change in comparison.moved] == [("moved", ("weights",))]
    assert [(change.row[0], change.causes) for change in comparison.recomputed] == [("same", ("weights",))]
    assert comparison.unexplained == []


def test_a_move_without_a_cause_is_pointed_out(run, capsys):
    comparison = compare(table(run()), table(run(values=[0.81, 0.90])))
    assert len(comparison.unexplained) == 1
    print_comparison(comparison)
    assert "moved though nothing that they depend on changed" in capsys.readouterr().out


def test_another_metric_is_another_row(run):
    other = {"file": {"macro_f1": {"folds": [0.1, 0.1], "mean": 0.1, "std": 0.0}}}
    comparison = compare(table(run()), table(run(primary="macro_f1", scores=other)))
    assert comparison.changes == [] and len(comparison.new) == len(comparison.gone) == 1


def test_rows_without_spread_or_score(run):
    def one(value):
        return run("one", scores={"file": {"accuracy": {"folds": [value], "mean": value, "std": None}}})

    lost = run("lost", scores={"file": {"accuracy": {"folds": [None], "mean": None, "std": None}}})
    old = table(one(0.5), run("lost"), run("exact", [0.5] * 5))
    new = table(one(0.9), lost, run("exact", [0.4] * 5))
    by_task = {change.row[0]: change for change in compare(old, new).changes}
    assert by_task["one"].gain is None and by_task["one"].moved
    assert by_task["exact"].gain < -5
    assert {change.row[0] for change in compare(old, new).regressions()} == {"exact", "lost"}


def test_the_same_leaderboard_has_nothing_to_say(run, capsys):
    comparison = compare(table(run("a"), run("b")), table(run("b"), run("a")))
    assert comparison.moved == comparison.recomputed == comparison.regressions() == []
    print_comparison(comparison, markdown=True)
    assert "0 moved" in capsys.readouterr().out


def test_markdown_of_a_comparison(run):
    old = table(*[run(f"t{i}") for i in range(60)], run("gone"))
    new = table(*[run(f"t{i}", [0.1, 0.2]) for i in range(60)], run("new"))
    text = comparison_markdown(compare(old, new, "HEAD~1", "a|b"))
    rows = [line for line in text.splitlines() if line.startswith("| t")]
    assert rows[1] == r"| t0 | ge2e, frozen, logistic, file | 85.0 | 15.0 | -70.00 | -85.7 | 0.446 | no ingredient |"
    assert len(rows) == 51 and "10 more rows moved" in text
    assert "New: 1" in text and "- gone ge2e frozen logistic file accuracy" in text and r"a\|b" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a leaderboard"),
        ("a,b\n1,2\n", "task: the column is missing"),
        ("<<<<<<< HEAD\n", "the column is missing"),
        ("task,embedding,strategy,probe,level,metric,mean,std,folds\nt,e,s,p,l,m,good,0,5\n", "not a leaderboard"),
        (
            "task,embedding,strategy,probe,level,metric,mean,std,folds\n" + "t,e,s,p,l,m,0,0,5\n" * 2,
            "t e s p l: the row is there twice",
        ),
    ],
)
def test_what_is_no_leaderboard_is_refused(text, said):
    with pytest.raises(UserError, match=said) as caught:
        read_leaderboard(text, "x.csv")
    assert "x.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_older_leaderboards_without_digests_are_compared(run):
    old = table(run()).drop(columns=["key_weights", "key_seed"])
    new = table(run(ingredients={**INGREDIENTS, "weights": "f" * 16, "audio": "f" * 16}))
    assert compare(old, new).changes[0].causes == ("audio",)


@pytest.fixture
def repository(run, tmp_path):
    """A project in a folder of a repository: two commits of the leaderboard, and a working tree that differs."""

    def git(*arguments):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
            check=True,
            capture_output=True,
        )

    project = tmp_path / "project"
    git("init", "-q")
    (tmp_path / "README").write_text("x")
    git("add", "README")
    git("commit", "-q", "-m", "before")
    for values in ([0.90, 0.92], [0.50, 0.52]):
        write_leaderboard([run(values=values)], project / "results" / "leaderboard.csv")
        git("add", "project")
        git("commit", "-q", "-m", "scores")
    write_leaderboard([run(values=[0.10, 0.12])], project / "results" / "leaderboard.csv")
    return project


def test_two_revisions_and_the_working_tree(repository):
    assert compare_revisions(repository, "HEAD~1", "HEAD").changes[0].difference == pytest.approx(-0.4)
    assert compare_revisions(repository, "HEAD").changes[0].difference == pytest.approx(-0.4)
    path = str(repository / "results" / "leaderboard.csv")
    assert compare_revisions(repository, "HEAD~1", path).changes[0].difference == pytest.approx(-0.8)
    assert len(compare_revisions(repository, "HEAD~1", "HEAD").regressions()) == 1


@pytest.mark.parametrize("name", ["nowhere", "--help", "HEAD; echo x", "--output=x", ""])
def test_what_is_neither_file_nor_revision_is_one_line(repository, name):
    with pytest.raises(UserError, match="neither a file nor a git revision"):
        compare_revisions(repository, name)


def test_a_revision_without_a_leaderboard_is_one_line(repository):
    with pytest.raises(UserError, match="not in that revision"):
        compare_revisions(repository, "HEAD~2")
