"""References in processes of their own, asked in turn to embed the same files.

`--peers FOLDER` names a folder with a sub-folder for each reference that is to be measured, called like our family
(`ina`, `ge2e`, `openl3`, `panns`, `beats`):

    FOLDER/<family>/venv/   a virtual environment (or a link to one) with the reference's own requirements
    FOLDER/<family>/src/    where it is not installable: a checkout, or a folder of checkouts (or a link)

What each needs is said at the head of its script.
"""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from benchmark.errors import UserError

_SCRIPTS = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in _SCRIPTS.glob("*.py") if path.stem not in ("__init__", "serve", "client")))


class Peer:
    """A reference that is loaded and waits; a context manager that ends it.

    Args:
        family: one of `NAMES`.
        folder: as above, `FOLDER`.
        files: what it embeds when it is asked to.
        threads: of its numerical libraries.

    Attributes:
        includes: what its per-file path is made of, in words.

    Raises:
        UserError: it is not in `folder`, or does not run there.
    """

    def __init__(self, family: str, folder: Path, files: Sequence[Path], threads: int):
        python = folder / family / "venv" / "bin" / "python"
        folder = folder.absolute()
        if not python.exists():
            raise UserError(f"--peers: there is no {python}; make that virtual environment, or leave the peer out")
        # Not resolved: a virtual environment is known by the path that its Python is called by.
        command = [str(python.absolute()), str(_SCRIPTS / f"{family}.py"), "--threads", str(threads)]
        # Open as long as the process runs.
        self._errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [*command, *map(str, files)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=folder / family,
        )
        self._family = family
        try:
            self.includes = str(self._answer()["ready"])
        except UserError:
            self.close()
            raise

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def run(self) -> dict[str, float]:
        """Embed all files once; seconds taken, `wall` and `cpu`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines() or ["it said nothing"]
            raise UserError(f"--peers: {self._family} ended: {said[-1]}; run its script by hand to see more")
        return json.loads(line)
