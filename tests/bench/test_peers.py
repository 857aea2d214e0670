"""References in processes of their own, with a script and an environment made for the test."""

import shutil
import sys
from pathlib import Path

import pytest

from benchmark.bench.peers import client
from benchmark.bench.peers.client import NAMES, Peer
from benchmark.errors import UserError

SCRIPT = """
from serve import serve

def load(threads):
    print("noise of a library")
    import neighbour
    heard = []
    def embed(file):
        heard.append(open(file).read())
        if heard[-1] == "bad":
            raise ValueError("cannot hear this")
        sum(range(300_000))
    return embed, f"{neighbour.WHAT} with {threads} threads"

serve(load)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(Path(client.__file__).with_name("serve.py"), scripts)
    (scripts / "neighbour.py").write_text(SCRIPT)
    monkeypatch.setattr(client, "_SCRIPTS", scripts)
    (tmp_path / "neighbour" / "src").mkdir(parents=True)
    (tmp_path / "neighbour" / "src" / "neighbour.py").write_text("WHAT = 'a reference'")
    python = tmp_path / "neighbour" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "good.wav").write_text("good")
    (tmp_path / "bad.wav").write_text("bad")
    return tmp_path


def test_a_script_called_like_its_package_is_loaded_once_and_asked_in_turns(folder):
    with Peer("neighbour", folder, [folder / "good.wav"] * 2, threads=3) as peer:
        assert peer.includes == "a reference with 3 threads"
        first, second = peer.run(), peer.run()
    assert 0 < first["wall"] < 10 and second["cpu"] >= 0


def test_what_goes_wrong_is_told_in_its_own_words(folder):
    with Peer("neighbour", folder, [folder / "bad.wav"], threads=1) as peer, pytest.raises(UserError) as error:
        peer.run()
    assert "cannot hear this" in str(error.value)


def test_an_environment_that_is_not_there_is_one_line(folder):
    with pytest.raises(UserError, match=r"no .*nobody/venv/bin/python"):
        Peer("nobody", folder, [], threads=1)


def test_every_script_is_listed():
    assert {"beats", "ge2e", "ina", "openl3", "panns"} <= set(NAMES)
