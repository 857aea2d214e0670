import numpy as np
import pytest

from benchmark.metrics.comparisons import Permutation, corrected_t_test
from benchmark.report.duel import duels, print_duels
from tests.report.conftest import make_record


def never(*_):
    return None


def test_p_of_folds_are_corrected_for_overlap_and_for_the_tasks():
    rng = np.random.default_rng(0)
    better = {f"t{i}": rng.uniform(0.7, 0.9, 5) for i in range(3)}
    records = [make_record(task, "a", values=values) for task, values in better.items()]
    worse = {task: values - rng.uniform(0.02, 0.05, 5) for task, values in better.items()}
    records += [make_record(task, "b", values=values) for task, values in worse.items()]
    found = duels(records, "a", "b", never)
    alone = [corrected_t_test(better[task] - worse[task], 30 / 240).p for task in better]
    assert [duel.task for duel in found] == ["t0", "t1", "t2"]
    assert min(duel.p_folds for duel in found) == pytest.approx(3 * min(alone))
    assert all(duel.p_groups is None and duel.gain > 0 for duel in found)
    assert [duel.gain for duel in duels(records, "b", "a", never)] == [-duel.gain for duel in found]


def test_only_what_is_alike_is_compared(capsys):
    records = [
        make_record("same", "a"), make_record("same", "b"), make_record("alone", "a"),
        make_record("probes", "a", probe="mlp"), make_record("probes", "b"),
    ]  # fmt: skip
    found = duels(records, "a", "b", lambda *_: Permutation(0.1, 0.01, 64, True))
    assert [(duel.task, duel.p_groups, duel.ways) for duel in found] == [("same", 0.01, 64)]
    print_duels(records, found, "a", "b")
    text = " ".join(capsys.readouterr().out.split())
    assert "0.010" in text and "of 1 tasks" in text and "Bayesian signed-rank test" in text


def test_errors_are_better_when_less():
    def eer(name, value):
        scores = {"file": {"eer": {"folds": [value, value + 0.01], "mean": value + 0.005, "std": 0.007}}}
        return make_record("t", name, primary="eer", scores=scores)

    (found,) = duels([eer("a", 0.1), eer("b", 0.3)], "a", "b", never)
    assert found.gain == pytest.approx(0.2)
