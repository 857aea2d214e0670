"""Kehling & Cano on miniatures of their own data, by the YAMLs and the profile of the repository: sounds to tables."""

import csv
import shutil

import pytest
import yaml

from benchmark.engine import pretrain as pretrain_stage
from benchmark.engine.download import download
from benchmark.engine.extract import extract
from benchmark.engine.plan import Project
from benchmark.engine.pretrain import pretrain
from benchmark.engine.probe import probe
from benchmark.engine.reporting import report
from tests.catalogue.conftest import _inline
from tests.catalogue.stage import ROOT, Stage, catalogue
from tests.engine.project import write

DATASETS = ["musan", "gtzan-music-speech", "marolt19", "acmus-yt", "slaney-scheirer", "acmus-vf", "acmus-if"]
# Narrowed down to the cheapest networks; the others take the same way.
EMBEDDINGS = ["swishnet-slim-mel", "dnn-mel"]

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path, _server, monkeypatch):
    """A project with the miniatures in place, whose parameters differ from the repository's in profile and in effort."""
    monkeypatch.setattr(pretrain_stage, "run_jobs", _inline)
    for folder in ("tasks", "embeddings", "separators"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "datasets").mkdir()
    for name, config in catalogue().datasets.items():
        if name in DATASETS:
            stage = Stage(name, tmp_path, _server)
            config = stage.config
        dumped = config.model_dump(mode="json", by_alias=True, exclude_none=True)
        write(tmp_path / "datasets" / f"{name}.yaml", dumped)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["profile"] = "kehling-real"
    params["data"]["mirrors"] = {"*": _server.url("")}
    params["training"] |= {"max_epochs": 1, "patience": 1, "control": False}
    params["probe"]["logistic"] = {"C": [1.0], "max_iter": 3}
    params["profiles"]["kehling-real"]["probe"] = {"kehling": {"max_epochs": 1}}
    write(tmp_path / "params.yaml", params)
    return tmp_path


def test_the_papers_tables_come_from_the_papers_data(root):
    project = Project.read(root, (), EMBEDDINGS)
    assert {task.name for task in project.tasks} == {name for name in catalogue().tasks if name.startswith("kehling-")}
    for stage in (download, pretrain, extract, probe):
        outcome = stage(project)
        assert not outcome.failures, outcome.failures
    report(Project.read(root, (), EMBEDDINGS))
    with (root / "results" / "tables" / "kehling-table2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["our_task"] for row in rows if row["model"] == "swishnet"} == {
        "kehling-speech-music", "kehling-accompaniment", "kehling-singer-gender", "kehling-ensemble-size",
    }  # fmt: skip
    for row in rows:
        if row["model"] in ("swishnet", "dnn"):
            assert row["folds"] == "5" and 0 <= float(row["our_mean"]) <= 100
            assert row["our_level"] == "frame" and row["difference"]
        elif row["model"] == "openl3":
            assert row["note"] == "weights not here" and not row["our_mean"]
        else:
            assert row["note"] == ("no run" if row["strategy"] == "scratch" else "not pretrained yet")
    table1 = (root / "results" / "tables" / "kehling-table1.md").read_text()
    for line in (
        "| MUSAN, here | training | music 32, noise 32, speech 32 | 16000 | 16 |",
        "| ACMusVF, here | transfer | female 20, male 20 | 24000 | 24 |",
    ):
        assert line in table1
    findings = (root / "results" / "tables" / "kehling-findings.md").read_text()
    assert "SwishNet, mean over target tasks: frozen" in findings
    assert (root / "results" / "plots" / "kehling-figure4.png").is_file()
