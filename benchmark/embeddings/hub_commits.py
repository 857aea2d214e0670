"""Commits of hub repositories: whole, or completed from their first digits, which the hub itself does not take."""

import functools
import re

_WHOLE = re.compile(r"[0-9a-f]{40}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def is_commit(revision: str | None) -> bool:
    """Whether `revision` is a hash, or seven digits of one at least; branches and tags, which move, are not."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@functools.cache
def whole_commit(repository: str, revision: str) -> str:
    """All forty digits of a commit.

    Args:
        repository: id on the hub, which is asked for its history if digits are missing.
        revision: as `is_commit` has it.

    Raises:
        ValueError: the history cannot be had, or has none or several such commits.
    """
    if _WHOLE.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    try:
        history = HfApi().list_repo_commits(repository)
    except Exception as error:
        # Which ones there are depends on what the hub's package speaks HTTP with.
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"the hub was not reached to complete the commit {revision}: {reason}") from error
    found = [commit.commit_id for commit in history if commit.commit_id.startswith(revision)]
    if len(found) != 1:
        raise ValueError(f"revision {revision}: {len(found)} commits of main begin so; write all forty digits")
    return found[0]
