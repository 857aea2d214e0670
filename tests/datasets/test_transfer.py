import errno
import hashlib
import multiprocessing
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from benchmark.datasets.transfer import ATTEMPTS, download
from benchmark.errors import UserError
from tests.datasets.server import Server

BODY = np.random.default_rng(0).bytes(900_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY).hexdigest()


def left_over(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_fetches_a_file_and_says_what_came(server, tmp_path):
    url = server.add("a.bin", BODY)
    steps = []
    fetched = download(url, tmp_path / "a.bin", sha256=SHA256, md5=MD5, progress=lambda *step: steps.append(step))
    assert (fetched.sha256, fetched.bytes, fetched.url) == (SHA256, len(BODY), url)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert steps[-1] == ("a.bin", len(BODY), len(BODY))
    assert left_over(tmp_path) == ["a.bin"]


def test_a_file_that_is_here_is_not_fetched_again(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(BODY)
    fetched = download(server.add("a.bin", BODY), tmp_path / "a.bin", sha256=SHA256)
    assert fetched.url is None
    assert fetched.sha256 == SHA256
    assert not server.requests


def test_a_dropped_connection_is_resumed_not_restarted(server, tmp_path):
    url = server.add("a.bin", BODY, drops=[400_000, 700_000])
    download(url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert server.requests["a.bin"] == [None, "bytes=400000-", "bytes=700000-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    url = server.add("a.bin", BODY, drops=[300_000, *[300_000] * ATTEMPTS])
    with pytest.raises(UserError, match="broke off"):
        download(url, tmp_path / "a.bin", sha256=SHA256)
    assert not (tmp_path / "a.bin").exists()
    server.pages["a.bin"].drops.clear()
    server.requests.clear()
    download(url, tmp_path / "a.bin", sha256=SHA256)
    assert server.requests["a.bin"] == ["bytes=300000-"]
    assert left_over(tmp_path) == ["a.bin"]


def test_a_server_that_knows_no_ranges_starts_again(server, tmp_path):
    url = server.add("a.bin", BODY, drops=[400_000], ranges=False)
    download(url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_halves_of_two_versions_are_never_joined(server, tmp_path):
    url = server.add("a.bin", BODY[::-1], drops=[300_000] * (1 + ATTEMPTS), etag='"old"')
    with pytest.raises(UserError):
        download(url, tmp_path / "a.bin")
    server.add("a.bin", BODY, etag='"new"')
    download(url, tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_two_versions_joined_without_a_tag_are_seen_by_the_checksum(server, tmp_path):
    url = server.add("a.bin", BODY[::-1], drops=[300_000] * (1 + ATTEMPTS), etag=None)
    with pytest.raises(UserError):
        download(url, tmp_path / "a.bin", sha256=SHA256)
    server.add("a.bin", BODY, etag=None)
    download(url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


def test_a_part_that_is_already_whole_is_taken(server, tmp_path):
    url = server.add("a.bin", BODY, drops=[300_000] * (1 + ATTEMPTS))
    with pytest.raises(UserError):
        download(url, tmp_path / "a.bin")
    (part,) = tmp_path.glob("*.part")
    part.write_bytes(BODY)
    download(url, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.parametrize("kind", ["sha256", "md5", "size"])
def test_a_wrong_file_is_set_aside_and_the_next_mirror_tried(server, tmp_path, kind):
    expected = {"sha256": SHA256, "md5": MD5, "size": len(BODY)}[kind]
    wrong, right = server.add("wrong.bin", b"something else"), server.add("right.bin", BODY)
    fetched = download([wrong, right], tmp_path / "a.bin", **{kind: expected})
    assert fetched.url == right
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert (tmp_path / "a.bin.bad").read_bytes() == b"something else"


def test_a_file_wrong_everywhere_is_refused(server, tmp_path):
    url = server.add("a.bin", b"something else")
    with pytest.raises(UserError, match=r"sha256 is .* instead of"):
        download(url, tmp_path / "a.bin", sha256=SHA256)
    assert left_over(tmp_path) == ["a.bin.bad"]


def test_a_file_that_changed_on_disk_is_fetched_again(server, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"damaged")
    download(server.add("a.bin", BODY), tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin").read_bytes() == BODY
    assert (tmp_path / "a.bin.bad").read_bytes() == b"damaged"


@pytest.mark.parametrize(("status", "word", "tries"), [(404, "404", 1), (403, "forbidden", 1), (500, "500", ATTEMPTS)])
def test_a_refusal_names_the_status(server, tmp_path, status, word, tries):
    url = server.add("a.bin", BODY, status=status)
    with pytest.raises(UserError, match=word) as caught:
        download(url, tmp_path / "a.bin")
    assert "\n" not in str(caught.value)
    assert len(server.requests["a.bin"]) == tries
    assert left_over(tmp_path) == []


def test_a_passing_error_is_tried_again(server, tmp_path):
    url = server.add("a.bin", BODY, statuses=[503, 500])
    assert download(url, tmp_path / "a.bin").sha256 == SHA256


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/zip"])
def test_a_web_page_is_no_archive(server, tmp_path, kind):
    url = server.add("a.zip", b"\n<!DOCTYPE html><html>please log in</html>", kind=kind)
    with pytest.raises(UserError, match="web page"):
        download(url, tmp_path / "a.zip")
    assert left_over(tmp_path) == []


def test_nobody_listens(tmp_path):
    with Server() as gone:
        url = gone.url("a.bin")
    with pytest.raises(UserError, match="cannot be reached"):
        download(url, tmp_path / "a.bin")


def test_only_web_addresses_are_fetched(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(UserError, match="no http"):
        download((tmp_path / "secret").as_uri(), tmp_path / "a.bin")


def test_a_full_disk_is_seen_before_the_transfer(server, tmp_path, monkeypatch):
    url = server.add("a.bin", BODY)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(UserError, match="free some"):
        download(url, tmp_path / "a.bin")
    assert left_over(tmp_path) == []


def test_a_disk_that_fills_up_keeps_what_has_come(server, tmp_path, monkeypatch):
    url = server.add("a.bin", BODY)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="no space left"):
        download(url, tmp_path / "a.bin", progress=full)
    assert [name.endswith(".part") for name in left_over(tmp_path)].count(True) == 1
    assert not (tmp_path / "a.bin").exists()
    assert download(url, tmp_path / "a.bin", sha256=SHA256).sha256 == SHA256
    assert server.requests["a.bin"][1].startswith("bytes=")


def _fetch(url: str, target: Path) -> None:
    download(url, target, sha256=SHA256)


def test_two_processes_fetch_once(server, tmp_path):
    url = server.add("a.bin", BODY, delay_s=0.3)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fetch, args=(url, tmp_path / "a.bin")) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.requests["a.bin"] == [None]
    assert (tmp_path / "a.bin").read_bytes() == BODY
