"""Files of weights: fetched once, checked, kept under LEVERET_HOME.

A file appears under its name only when it is whole and
its checksum is right. Checksums of weights without a published one are written to `checksums.json`.
"""

import contextlib
import json
import logging
import tempfile
from pathlib import Path

from filelock import FileLock

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import WeightsConfig
from benchmark.datasets.transfer import sha256_file
from benchmark.embeddings.weight_sources import fetch, file_name, home, verify
from benchmark.errors import UserError

logger = logging.getLogger(__name__)

LEDGER = "checksums.json"


def resolve(weights: WeightsConfig | None, where: str = "weights") -> Path | None:
    """Local path of the file that `weights` describes, fetched if it is not here; None for `none`.

    Args:
        weights: the source.
        where: the file that holds `weights`, for error messages.

    Raises:
        UserError: it cannot be fetched, or its checksum is wrong (the bad file is set aside).
    """
    if weights is None:
        return None
    target = _target(weights)
    if is_local(weights):
        if not target.is_file():
            raise UserError(f"{where}: weights: there is no file {target}; mend `file` or fetch it")
        verify(target, weights, where)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):
        if target.is_file():
            with contextlib.suppress(UserError):
                verify(target, weights, where)
                return target
            logger.warning("%s was changed after it was fetched; fetching it again", target)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as folder:
            fetched = fetch(weights, Path(folder), where)
            verify(fetched, weights, where, set_aside=target)
            fetched.replace(target)
    _record(weights, target)
    return target


def is_here(weights: WeightsConfig | None) -> bool:
    """Whether `resolve` needs no network: nothing to fetch, or the file is in place."""
    return weights is None or _target(weights).is_file()


def is_local(weights: WeightsConfig) -> bool:
    """Whether the weights are a file on this machine, which nothing is fetched for."""
    return not (weights.pypi or weights.http or weights.huggingface)


def _target(weights: WeightsConfig) -> Path:
    if is_local(weights):
        return Path(str(weights.file)).expanduser()
    # The checksum, where there is one, is the identity; otherwise the source is.
    identity = weights.sha256 or content_key(
        [weights.http, weights.huggingface, weights.revision, weights.pypi, weights.file]
    )
    return home() / "weights" / identity[:16] / file_name(weights)


def _record(weights: WeightsConfig, path: Path) -> None:
    """Note the checksum of a file that none was given for, so that a later change at the source can be seen."""
    if weights.sha256:
        return
    digest = sha256_file(path)
    ledger = home() / LEDGER
    with FileLock(ledger.with_name(LEDGER + ".lock")):
        entries = json.loads(ledger.read_text("utf-8")) if ledger.is_file() else {}
        name = path.relative_to(home()).as_posix()
        entries[name] = {
            "sha256": digest,
            "bytes": path.stat().st_size,
            "source": weights.pypi or weights.huggingface or weights.http,
        }
        part = ledger.with_name(LEDGER + ".part")
        part.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n", "utf-8")
        part.replace(ledger)
    logger.warning("no checksum is given for %s; the file that came has sha256 %s, see %s", path.name, digest, ledger)
