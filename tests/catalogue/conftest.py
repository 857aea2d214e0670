from collections.abc import Callable, Iterator

import pytest

from benchmark.engine import extract as extract_stage
from benchmark.engine import probe as probe_stage
from benchmark.engine import separate as separate_stage
from benchmark.errors import ClipError, UserError
from tests.catalogue.stage import Stage
from tests.datasets.server import Server, stay_here


def _inline(function, jobs, workers, backend):
    for job in jobs:
        try:
            yield job, function(job), None
        except (ClipError, UserError) as error:
            yield job, None, str(error)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    stay_here(monkeypatch)
    monkeypatch.setattr(extract_stage, "run_jobs", _inline)
    monkeypatch.setattr(probe_stage, "run_jobs", _inline)
    monkeypatch.setattr(separate_stage, "run_jobs", _inline)


@pytest.fixture(scope="session")
def _server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def staged(_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stage]:
    """The stage of a dataset by name, downloaded once."""
    made: dict[str, Stage] = {}

    def stage(dataset: str) -> Stage:
        if dataset not in made:
            made[dataset] = Stage(dataset, tmp_path_factory.mktemp(dataset), _server)
            made[dataset].download()
        return made[dataset]

    return stage
