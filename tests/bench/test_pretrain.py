import numpy as np
import pytest

from benchmark.bench.pretrain import NETWORKS, STRATEGIES, Share, made_task, measure, run
from benchmark.errors import UserError


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])
def test_both_sides_learn_the_made_task(strategy, plain):
    taken = measure(Share("dnn-mel", strategy, clips=150, epochs=8, plain=plain))
    assert len(taken.scores) == 5
    assert np.mean(taken.scores) > (0.5 if strategy in ("frozen", "partial") else 0.8)
    assert taken.cpu > 0 and taken.wall > 0


def test_sides_are_compared_and_the_whole_is_told():
    report = run(["dnn-mel"], ["partial", "full"], clips=100, epochs=1, clock="cpu")
    assert [row["network"] for row in report.rows] == ["dnn-mel", "dnn-mel", "all"]
    assert all(row["ratio"] == row["plain (s)"] / row["ours (s)"] for row in report.rows)
    assert report.rows[2]["ours (s)"] == pytest.approx(sum(row["ours (s)"] for row in report.rows[:2]))
    assert "errors" in report.to_markdown()


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
