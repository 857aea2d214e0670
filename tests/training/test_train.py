import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmark.models.swishnet import SwishNet
from benchmark.training.members import Member
from benchmark.training.randomness import SeededDropout, epoch_order, seed_dropouts
from benchmark.training.settings import TrainSettings
from benchmark.training.state import StateFile
from benchmark.training.train import train

SETTINGS = TrainSettings(batch=16, max_epochs=4, patience=2)


class Small(nn.Module):
    """Something of each kind of layer: convolution, normalisation, dropout, dense; its first layer may be fixed."""

    def __init__(self, fixed: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.3)
        self.dense = nn.Linear(4 * 16, 2)
        self.conv.requires_grad_(not fixed)

    def forward(self, x):
        x = self.norm(torch.relu(self.conv(x.unsqueeze(1))))
        return self.dense(self.dropout(x.flatten(1)))


def members(count: int = 3, make=Small, seed: int = 0, n: int = 150) -> list[Member]:
    """Members over parts of the same noisy patterns (n, 6, 6), which two rows tell apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    x = torch.randn(n, 6, 6, generator=generator)
    x[:, 2:4] += 0.7 * (labels * 2 - 1)[:, None, None]
    made = []
    for number in range(count):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(number))
        torch.manual_seed(number)
        made.append(Member(make(), x, labels, order[: 80 + 16 * number], order[-40:], number))
    return made


def same(one, other) -> bool:
    states = zip(one, other, strict=True)
    return all(torch.equal(a.state[key], b.state[key]) for a, b in states for key in a.state | b.state)


def test_learns_and_restores_the_best_epoch():
    settings = TrainSettings(batch=16, max_epochs=30, patience=5)
    fitted = train(members(), settings)
    for member, found in zip(members(), fitted, strict=True):
        assert found.valid > 0.8
        assert found.best_epoch <= found.epochs <= min(found.best_epoch + 5, 30)
        member.net.load_state_dict(found.state)
        logits = member.net.eval()(member.inputs[member.valid])
        assert float((logits.argmax(1) == member.labels[member.valid]).double().mean()) == found.valid


def test_who_else_is_trained_changes_nothing():
    together = train(members(), SETTINGS)
    alone = [train([member], SETTINGS)[0] for member in members()]
    assert same(together, alone)


@pytest.mark.parametrize("make", [Small, lambda: Small(fixed=True)], ids=["all", "partly fixed"])
def test_a_stack_gives_what_members_give_alone(make):
    settings = TrainSettings(batch=16, max_epochs=5, patience=2)
    alone = train(members(make=make), settings)
    stacked = train(members(make=make), TrainSettings(batch=16, max_epochs=5, patience=2, stacked=True))
    assert len({found.epochs for found in alone}) > 1, "no member left the stack before the others"
    for one, other in zip(alone, stacked, strict=True):
        assert (one.best_epoch, one.epochs, one.valid) == (other.best_epoch, other.epochs, other.valid)
        for key, value in one.state.items():
            torch.testing.assert_close(value, other.state[key], rtol=1e-3, atol=1e-4)


def test_what_is_fixed_stays():
    before = members(1, lambda: Small(fixed=True))[0].net.conv.weight.clone()
    for stacked in (False, True):
        settings = TrainSettings(batch=16, max_epochs=2, stacked=stacked)
        found = train(members(1, lambda: Small(fixed=True)), settings)[0]
        assert torch.equal(found.state["conv.weight"], before)
        assert not torch.equal(found.state["dense.weight"], members(1)[0].net.dense.weight)


class Stop(Exception):
    pass


@pytest.mark.parametrize("stacked", [False, True])
def test_an_interrupted_training_comes_to_the_same_bytes(tmp_path, stacked):
    settings = TrainSettings(batch=16, max_epochs=5, patience=2, stacked=stacked)
    whole = train(members(), settings)
    left = 3

    def stop(member, epoch, score):
        nonlocal left
        left -= 1
        if left == 0:
            left = 3
            raise Stop

    interrupted = 0
    while True:
        try:
            found = train(members(), settings, saved=StateFile(tmp_path / "state.pt", "key", 0.0), progress=stop)
            break
        except Stop:
            interrupted += 1
    assert interrupted >= 2
    assert same(found, whole)
    assert list(tmp_path.iterdir()) == []


def test_the_state_of_another_training_is_not_used(tmp_path):
    path = tmp_path / "state.pt"
    StateFile(path, "one").write({"0": {"course": {"epoch": 3}}})
    assert StateFile(path, "one").read()
    assert StateFile(path, "other").read() == {}
    path.write_bytes(path.read_bytes()[:100])
    assert StateFile(path, "one").read() == {}


_KILLED = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from benchmark.training.settings import TrainSettings
from benchmark.training.state import StateFile
from benchmark.training.train import train
from tests.training.test_train import members
folder = Path(sys.argv[1])
found = train(members(2, n=4000), TrainSettings(max_epochs=12), saved=StateFile(folder / "state.pt", "key", 0.0))
torch.save([member.state for member in found], folder / "result.part")
(folder / "result.part").rename(folder / "result.pt")
"""


def run_killed(folder: Path) -> int:
    """Run the training, killed when its state file has changed a few times, until it comes to its end."""
    kills = 0
    while not (folder / "result.pt").exists():
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(folder)], env=os.environ)
        seen, changes = None, 0
        while process.poll() is None and changes < 9:
            state = folder / "state.pt"
            now = state.stat().st_mtime_ns if state.exists() else None
            changes += now is not None and now != seen
            seen = now
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        assert process.wait() in (0, -signal.SIGKILL)
    return kills


def test_killed_and_resumed_gives_the_bytes_of_an_undisturbed_training(tmp_path):
    assert run_killed(tmp_path) >= 2
    found = torch.load(tmp_path / "result.pt", weights_only=True)
    whole = train(members(2, n=4000), TrainSettings(max_epochs=12))
    for one, other in zip(found, whole, strict=True):
        assert all(torch.equal(one[key], other.state[key]) for key in other.state)


def test_an_order_holds_every_row_and_only_full_batches():
    rows = torch.arange(100, 150)
    order = epoch_order(1, 0, rows, 16)
    assert order.shape == (4, 16)
    assert set(order.flatten().tolist()) == set(rows.tolist())
    assert torch.equal(order, epoch_order(1, 0, rows, 16))
    assert not torch.equal(order, epoch_order(1, 1, rows, 16))
    assert not torch.equal(order, epoch_order(2, 0, rows, 16))
    assert epoch_order(1, 0, rows, 64).shape == (1, 50)


def test_dropout_drops_its_part_and_scales_the_rest():
    layer = SeededDropout(0.3, 1)
    x = torch.ones(200, 500)
    layer.key.fill_(5)
    first = layer(x)
    assert float((first == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(first.mean()) == pytest.approx(1.0, abs=0.01)
    assert torch.equal(first, layer(x))
    layer.key.fill_(6)
    assert float((first == layer(x)).float().mean()) < 0.7
    assert torch.equal(layer.eval()(x), x)


def test_every_dropout_of_a_network_has_its_own_mask():
    net = SwishNet(dropout=0.5)
    names = seed_dropouts(net)
    assert names == ["dropout.key"]
    both = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5), nn.Dropout(0.0))
    assert seed_dropouts(both) == ["0.key", "1.key"]
    x = torch.ones(50, 50)
    assert not torch.equal(both[0](x), both[1](x))
    assert isinstance(both[2], nn.Dropout)


def test_mixed_precision_learns_too():
    found = train(members(1), TrainSettings(batch=16, max_epochs=15, patience=15, precision="bfloat16"))[0]
    assert found.valid > 0.75
    assert found.state["dense.weight"].dtype == torch.float32


def test_weights_of_rows_count():
    """Rows of no weight might as well have other labels."""
    one, labels = members(1)[0], members(1)[0].labels.clone()
    weights = torch.ones(150)
    weights[one.train[:30]] = 0
    labels[one.train[:30]] = 1 - labels[one.train[:30]]
    first = train([Member(one.net, one.inputs, one.labels, one.train, one.valid, 0, weights)], SETTINGS)
    other = members(1)[0]
    second = train([Member(other.net, one.inputs, labels, one.train, one.valid, 0, weights)], SETTINGS)
    assert same(first, second)


def test_a_member_without_data_is_refused():
    one = members(1)[0]
    with pytest.raises(ValueError, match="no validation"):
        train([Member(one.net, one.inputs, one.labels, one.train, one.valid[:0], 0)], SETTINGS)
