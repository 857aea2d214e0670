"""Copies of the hosts that datasets come from, such as a university's own."""

from collections.abc import Mapping
from urllib.parse import urlsplit

ANY = "*"


def with_mirrors(url: str, mirrors: Mapping[str, str]) -> list[str]:
    """The addresses of a file in the order in which they are tried: its mirror's, then its own.

    Args:
        mirrors: host -> base address that stands for `https://host`; that of `*` stands for all other hosts, each in a
            folder of its name. `{"zenodo.org": "http://mirror/zenodo"}` and `{"*": "http://mirror"}` give
            `http://mirror/zenodo/records/1` and `http://mirror/zenodo.org/records/1`.
    """
    parts = urlsplit(url)
    host = parts.netloc.lower()
    if host in mirrors:
        base = mirrors[host]
    elif ANY in mirrors:
        base = f"{mirrors[ANY].rstrip('/')}/{host}"
    else:
        return [url]
    query = f"?{parts.query}" if parts.query else ""
    return [f"{base.rstrip('/')}{parts.path}{query}", url]


def copy_of(host: str, mirrors: Mapping[str, str]) -> str | None:
    """The base address of the mirror of `host`, if it has one."""
    copy, *own = with_mirrors(f"https://{host}", mirrors)
    return copy if own else None
