"""Training that was interrupted, on disk: written whole or not at all, used for the same training only."""

import io
import os
import pickle
import time
from pathlib import Path
from typing import Any

import torch


class StateFile:
    """Where a training writes how far it has come.

    Args:
        path: of the file.
        key: content key of everything that the training depends on; a file with another key is not used.
        seconds: least time between two writings. When it is written changes no result.
    """

    def __init__(self, path: Path, key: str, seconds: float = 10.0):
        self.path, self.key, self.seconds = path, key, seconds
        self._written = time.monotonic()

    def read(self) -> dict[str, Any]:
        """States by member number; empty where there is nothing to go on from."""
        try:
            saved = torch.load(self.path, weights_only=True)
        except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError):
            return {}
        return saved["members"] if isinstance(saved, dict) and saved.get("key") == self.key else {}

    def is_due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written >= self.seconds

    def write(self, members: dict[str, Any]) -> None:
        """Write the states of all members."""
        buffer = io.BytesIO()
        torch.save({"key": self.key, "members": members}, buffer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(buffer.getbuffer())
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._written = time.monotonic()

    def remove(self) -> None:
        """The training is over."""
        self.path.unlink(missing_ok=True)
