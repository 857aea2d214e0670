"""Counts of weights and multiply-accumulates."""

import json
from pathlib import Path

import pytest

from benchmark.bench.cost import run
from benchmark.config.catalogue import Catalogue
from benchmark.embeddings import costs

ROOT = Path(__file__).parents[2]
EMBEDDINGS = Catalogue.read(ROOT).embeddings


def test_ge2e_is_what_its_layers_say():
    # Three LSTM layers of 256 behind 40 bands, and a projection; a partial of 160 frames each 0.77 s.
    weights = 4 * 256 * (40 + 256) + 2 * 4 * 256 * 512
    parameters = weights + 3 * 2 * 4 * 256 + 256 * 256 + 256
    cost = costs.count(EMBEDDINGS["ge2e"])
    assert cost.parameters == parameters
    # The mel filters are products too.
    mel = 201 * 40 * 100
    assert cost.macs_per_s == pytest.approx((160 * weights + 256 * 256) / 0.77 + mel, rel=0.1)


@pytest.mark.parametrize(
    "name", ["acmus-ensemble", "ina-smn", "logmel-stats", "panns-mobilenetv2", "swishnet-slim-mel"]
)
def test_the_catalogue_has_what_counting_gives(name):
    config = EMBEDDINGS[name]
    kept, counted = costs.known(config), costs.count(config)
    assert kept is not None and kept.parameters == counted.parameters
    assert kept.macs_per_s == pytest.approx(counted.macs_per_s, rel=1e-3)


def test_every_network_of_the_catalogue_was_counted():
    kept = costs._entries(costs.CATALOGUE)
    unknown = {name for name, config in EMBEDDINGS.items() if costs.key_of(config) not in kept}
    # Third parties' modules, which may not be installed.
    uncounted = {name for name in unknown if EMBEDDINGS[name].family not in ("hear", "opensmile")}
    assert not uncounted, f"leveret bench cost --catalogue -e {' -e '.join(sorted(uncounted))}"


def test_counts_belong_to_a_network_and_not_to_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LEVERET_HOME", str(tmp_path))
    mine = EMBEDDINGS["melspec-dnn"].model_copy(update={"name": "mine", "args": {"frames": 3}})
    assert costs.known(mine) is None
    path = costs.remember([(mine, costs.Cost(7, 11))])
    assert path.parent == tmp_path and json.loads(path.read_text())
    assert costs.known(mine) == costs.known(mine.model_copy(update={"name": "other"})) == costs.Cost(7, 11)
    assert costs.known(mine.model_copy(update={"args": {"frames": 4}})) is None


def test_the_command_counts_and_keeps(tmp_path, monkeypatch):
    monkeypatch.setenv("LEVERET_HOME", str(tmp_path))
    report = run(ROOT, ["logmel-stats", "hear-nai*"])
    assert report.rows[0]["parameters"] == 0
    assert any("costs.json" in note for note in report.notes)
