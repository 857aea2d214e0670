import math
import subprocess

import pytest

from benchmark.errors import UserError
from benchmark.report.compare import compare, compare_revisions, comparison_markdown, print_comparison, read_leaderboard
from benchmark.report.leaderboard import leaderboard, write_leaderboard

INGREDIENTS = {"audio": "a" * 16, "weights": "b" * 16, "seed": "c" * 16}


def table(*records):
    return read_leaderboard(leaderboard(records).to_csv(index=False, float_format="%.4f"), "leaderboard.csv")


@pytest.fixture
def run(record):
    def make(task="t", values=(0.80, 0.90), **changes):
        return record(task, **{"values": list(values), "ingredients": INGREDIENTS, **changes})

    return make


def test_a_difference_in_standard_errors(run):
    (change,) = compare(table(run(values=[0.80, 0.90])), table(run(values=[0.60, 0.64, 0.62]))).changes
    expected = math.sqrt(0.0707**2 / 2 + 0.02**2 / 3)
    assert change.difference == pytest.approx(-0.23)
    assert change.standard_error == pytest.approx(expected)
    assert change.gain == pytest.approx(-0.23 / expected)


def test_a_planted_regression_is_found_and_noise_is_not(run):
    old = table(run("a", [0.90, 0.91, 0.92]), run("b", [0.80, 0.90, 0.85]), run("c", [0.5, 0.6]))
    new = table(run("a", [0.80, 0.81, 0.82]), run("b", [0.79, 0.90, 0.84]), run("c", [0.9, 0.95]))
    comparison = compare(old, new)
    assert [change.row[0] for change in comparison.regressions()] == ["a"]
    assert [change.row[0] for change in comparison.regressions(threshold=0.1)] == ["a", "b"]
    assert len(comparison.moved) == 3
    assert comparison.changes[0].row[0] == "a"


def test_an_error_that_falls_is_no_regression(run):
    def eer(value):
        scores = {"file": {"eer": {"folds": [value, value + 0.01], "mean": value + 0.005, "std": 0.007}}}
        return table(run(primary="eer", scores=scores))

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
    old = table(one(0.5), run("lost"), run("exact", [0.5, 0.5]))
    new = table(one(0.9), lost, run("exact", [0.4, 0.4]))
    by_task = {change.row[0]: change for change in compare(old, new).changes}
    assert by_task["one"].gain is None and by_task["one"].moved
    assert by_task["exact"].gain == -math.inf
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
    assert rows[1] == r"| t0 | ge2e, frozen, logistic, file | 85.0 | 15.0 | -70.00 | -9.9 | no ingredient |"
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
