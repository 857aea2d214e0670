import numpy as np
import pytest

from benchmark.bench.pretrain import run
from benchmark.bench.pretrain_side import NETWORKS, STRATEGIES, Share, made_task, measure
from benchmark.errors import UserError
from benchmark.training.settings import TrainSettings


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
def test_both_sides_learn_the_made_task(strategy, plain):
    settings = TrainSettings(max_epochs=8, patience=4, stacked=False)
    taken = measure(Share("dnn-mel", strategy, clips=150, settings=settings, plain=plain))
    assert len(taken.scores) == len(taken.epochs) == 5
    assert all(1 <= epochs <= 8 for epochs in taken.epochs)
    assert np.mean(taken.scores) > (0.5 if strategy in ("frozen", "partial") else 0.8)
    assert taken.cpu > 0 and taken.wall > 0


def test_both_sides_take_the_same_steps_where_there_is_no_dropout():
    settings = TrainSettings(max_epochs=6, patience=3, stacked=False)
    plain, ours = (
        measure(Share("swishnet-slim-mfcc", "full", clips=100, settings=settings, plain=side)) for side in (True, False)
    )
    assert plain.epochs == ours.epochs
    np.testing.assert_allclose(plain.scores, ours.scores, atol=0.051)


def test_sides_are_compared_and_the_whole_is_told():
    report = run(["dnn-mel"], ["partial", "full"], clips=100, epochs=2, patience=1, clock="cpu")
    assert [(row["network"], row["strategy"]) for row in report.rows] == [
        ("dnn-mel", "partial"), ("dnn-mel", "full"), ("all", "partial"), ("all", "full"), ("all", "all"),
    ]  # fmt: skip
    assert all(row["ratio"] == row["plain (s)"] / row["ours (s)"] for row in report.rows)
    assert report.rows[4]["ours (s)"] == pytest.approx(sum(row["ours (s)"] for row in report.rows[:2]))
    assert report.rows[4]["our accuracy"] == pytest.approx(np.mean([row["our accuracy"] for row in report.rows[:2]]))
    assert "errors" in report.to_markdown()


def test_by_the_clock_ours_runs_in_processes():
    report = run(["dnn-mel"], ["partial", "full"], clips=60, epochs=1, threads=1)
    assert report.rows[0]["our epochs"] == report.rows[0]["plain epochs"] == 1
    assert report.rows[4]["ours (s)"] > max(row["ours (s)"] for row in report.rows[:2])


def test_the_network_of_a_made_task_is_always_the_same():
    inputs, _, trainable = made_task("swishnet-slim-mfcc", 10)
    other, _, again = made_task("swishnet-slim-mfcc", 10)
    one, two = trainable.pretrained().eval(), again.pretrained().eval()
    assert (inputs == other).all()
    assert (one(inputs) == two(other)).all()


def test_what_is_unknown_is_refused():
    for arguments in ({"networks": ["vgg"]}, {"strategies": ["half"]}, {"clock": "sun"}):
        with pytest.raises(UserError, match="leveret bench pretrain"):
            run(**arguments)
    assert len(NETWORKS) == 6
