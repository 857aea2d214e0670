"""Relative paths in a project's files are relative to the project, wherever the command is called."""

import numpy as np
import pytest

from benchmark.config.catalogue import Catalogue
from benchmark.config.keys import content_key
from benchmark.datasets.read import read_dataset
from benchmark.embeddings.weights import resolve
from benchmark.engine.plan import Project
from benchmark.errors import UserError
from tests.engine.project import edit, make_project, write


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = make_project(tmp_path / "project", tasks=1, embeddings=1)
    edit(root / "tasks" / "tones0.yaml", dataset={"folder": "sounds/set0"})
    (root / "mine").mkdir()
    (root / "mine" / "net.h5").write_bytes(b"weights")
    (root / "sounds" / "table.csv").write_text("path,label\nset0/class0/00.wav,a\n")
    write(root / "datasets" / "tabled.yaml", {"name": "tabled", "csv": "sounds/table.csv"})
    write(root / "embeddings" / "own.yaml", {"name": "own", "family": "gated-cnn", "model": "tagging"})
    edit(root / "embeddings" / "own.yaml", weights={"file": "mine/net.h5"}, args={"scaler": {"file": "mine/s.npz"}})
    monkeypatch.chdir(tmp_path)
    return root


def test_sounds_tables_and_weights_are_found_from_elsewhere(project, tmp_path):
    catalogue = Catalogue.read(project.relative_to(tmp_path))
    assert len(read_dataset(catalogue.dataset_of(catalogue.tasks["tones0"]), project / "data")) == 30
    assert len(read_dataset(catalogue.datasets["tabled"], project / "data")) == 1
    own = catalogue.embeddings["own"]
    assert resolve(own.weights) == project / "mine" / "net.h5"
    assert own.args["scaler"]["file"] == str(project / "mine" / "s.npz")


def test_weights_of_separators_and_of_profiles_are_too(project, tmp_path):
    separator = {"name": "sep", "family": "open_unmix", "sample_rate": 44100, "stft": {"size": 4096, "hop": 1024}}
    write(project / "separators" / "sep.yaml", {**separator, "weights": {"vocals": {"file": "mine/net.h5"}}})
    catalogue = Catalogue.read(project.relative_to(tmp_path))
    assert catalogue.separators["sep"].weights["vocals"].file == str(project / "mine" / "net.h5")
    edit(project / "params.yaml", profiles={"smoke": {"overrides": {"own": {"weights": {"file": "mine/other.h5"}}}}})
    (own,) = Project.read(project.relative_to(tmp_path), embeddings=["own"]).embeddings
    assert own.weights.file == str(project / "mine" / "other.h5")


def test_absolute_paths_and_the_home_stay_what_they_are(project, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    edit(project / "embeddings" / "own.yaml", weights={"file": "~/net.h5"}, args={"scaler": {"file": "/s.npz"}})
    own = Catalogue.read(project).embeddings["own"]
    assert own.weights.file == str(tmp_path / "home" / "net.h5")
    assert own.args["scaler"]["file"] == "/s.npz"


def test_files_that_belong_to_weights_are_keyed_by_content_and_not_by_place(project, tmp_path):
    def key() -> str:
        read = Project.read(project, embeddings=["own"])
        return content_key(dict(read.plan_embedding(read.catalogue.embeddings["own"]).ingredients))

    np.savez(project / "mine" / "s.npz", mean=np.zeros(64))
    first = key()
    np.savez(project / "mine" / "s.npz", mean=np.ones(64))
    second = key()
    assert first != second
    # Beside the weights a family finds it without being told.
    edit(project / "embeddings" / "own.yaml", args={})
    third = key()
    np.savez(project / "mine" / "s.npz", mean=np.zeros(64))
    assert key() != third
    (project / "mine" / "notes.txt").write_text("of no matter")
    fourth = key()
    project.rename(tmp_path / "moved")
    project = tmp_path / "moved"
    read = Project.read(project, embeddings=["own"])
    assert content_key(dict(read.plan_embedding(read.catalogue.embeddings["own"]).ingredients)) == fourth


@pytest.mark.parametrize("name", ["a--b", "a-"])
def test_names_that_would_read_as_two_are_refused(project, name):
    write(project / "embeddings" / f"{name}.yaml", {"name": name, "family": "handcrafted", "model": "mfcc"})
    with pytest.raises(UserError, match=f"{name}.yaml: name: .*single hyphens"):
        Catalogue.read(project)
