"""A web server on 127.0.0.1 that misbehaves as it is told."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
import requests

from benchmark.datasets import transfer


@dataclass
class Page:
    """What the server gives for a path.

    Attributes:
        drops: byte positions at which the connection is cut; one a request, then no more.
        statuses: answers before the file is given; one a request.
        ranges: whether parts of the file can be asked for.
    """

    body: bytes
    kind: str = "application/octet-stream"
    status: int = 200
    drops: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    etag: str | None = '"1"'
    delay_s: float = 0.0


def stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let transfers reach this machine alone, and try again without a pause."""
    get = requests.get

    def guarded(url: str, **options: object) -> requests.Response:
        if urlsplit(url).hostname != "127.0.0.1":
            raise requests.ConnectionError(f"{url}: out of reach in tests")
        return get(url, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(requests, "get", guarded)
    monkeypatch.setattr(transfer, "PAUSE_S", 0.0)


class Server:
    """Context manager; `pages` by path, `requests` are the Range headers (or None) that came, by path."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.requests: dict[str, list[str | None]] = defaultdict(list)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{path}"

    def add(self, path: str, body: bytes, **behaviour: object) -> str:
        """Serve `body` at `path` and return its address."""
        self.pages[path] = Page(body, **behaviour)  # type: ignore[arg-type]
        return self.url(path)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = unquote(request.path.lstrip("/").partition("?")[0])
        asked = request.headers.get("Range")
        self.requests[path].append(asked)
        page = self.pages.get(path)
        if page is None:
            request.send_error(404)
            return
        time.sleep(page.delay_s)
        if page.statuses:
            request.send_error(page.statuses.pop(0))
            return
        if page.status != 200:
            request.send_error(page.status)
            return
        start, size = 0, len(page.body)
        same = request.headers.get("If-Range") in (None, page.etag)
        if asked and page.ranges and same:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= size:
                request.send_response(416)
                request.send_header("Content-Range", f"bytes */{size}")
                request.send_header("Content-Length", "0")
                request.end_headers()
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            request.send_response(200)
        request.send_header("Content-Type", page.kind)
        request.send_header("Content-Length", str(size - start))
        if page.etag is not None:
            request.send_header("ETag", page.etag)
        request.end_headers()
        stop = page.drops.pop(0) if page.drops else size
        request.wfile.write(page.body[start:stop])
        if stop < size:
            request.wfile.flush()
            request.close_connection = True
