"""Names of probes in tasks and params.yaml, and what each stands for."""

import importlib

import pytest
from pydantic import ValidationError

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.config.schema_params import Params
from benchmark.config.schema_probe import PROTOCOLS, SOLVERS, protocol_settings, solver_module
from benchmark.config.schema_task import TaskConfig

TASK = {"name": "t", "domain": "speech", "dataset": "d"}
PARAMS = {"profiles": {"smoke": {}}}


@pytest.mark.parametrize("name", [*SOLVERS, *PROTOCOLS])
def test_every_name_has_a_solver_and_settings(name):
    module = importlib.import_module(solver_module(name))
    assert callable(module.run_comparison if name == "cosine" else module.solve)  # that one trains nothing
    settings = protocol_settings(name) if name in PROTOCOLS else SOLVERS[name]()
    assert TaskConfig(**TASK, probe=name).probes == [name]
    assert Params(**PARAMS, probe=name).probe.protocol == [name]
    assert type(settings)(**settings.model_dump(mode="json")) == settings


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(ValidationError, match="'svn' is not a probe; use one of logistic"):
        TaskConfig(**TASK, probes=["svn"])
    with pytest.raises(ValidationError, match="attention answers for whole clips"):
        TaskConfig(**TASK, probe="attention", levels=["file", "frame"])
    with pytest.raises(ValidationError, match="attention answers for whole clips"):
        TaskConfig(**TASK, kind="events", probe="attention")
    with pytest.raises(ValidationError, match="is not a probe"):
        Params(**PARAMS, probe="nonsense")
    with pytest.raises(ValidationError, match=r"kehling.patience: Input should be greater"):
        Params(profiles={"smoke": {"probe": {"kehling": {"patience": 0}}}})


def test_a_profile_shrinks_a_protocol_and_params_do_not_change_it():
    params = Params(profiles={"smoke": {"probe": {"kehling": {"max_epochs": 3}}}}, probe={"mlp": {"lr": 1.0}})
    assert params.active.settings_of("kehling") == {"max_epochs": 3}
    assert params.active.settings_of("logistic") == {}
    assert protocol_settings("kehling").lr == 1e-3


@pytest.mark.parametrize(
    "fields",
    [{"layer": "all"}, {"layers": 3}, {"layer": 2, "layers": 3}, {"layer": "all", "layers": 3, "pool": "mean_std"}],
)
def test_layers_that_are_mixed_must_lie_side_by_side(fields):
    EmbeddingConfig(name="e", family="transformers", model="m", layer="all", layers=3)
    EmbeddingConfig(name="e", family="hear", module="m", layers=3)
    with pytest.raises(ValidationError, match="layer"):
        EmbeddingConfig(name="e", family="transformers", model="m", **fields)
