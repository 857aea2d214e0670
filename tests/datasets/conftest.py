from collections.abc import Iterator

import pytest

from tests.datasets.server import Server, stay_here


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    stay_here(monkeypatch)
