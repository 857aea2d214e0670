"""The files below a dataset's folder, listed once."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

from benchmark.audio.io import EXTENSIONS
from benchmark.errors import UserError

# Sound that libsndfile does not read.
FOREIGN = frozenset({".m4a", ".aac", ".mp4", ".wma", ".amr", ".ape", ".webm", ".mka"})


class Tree:
    """Files below `root` as sorted relative paths with `/`; hidden ones and `__MACOSX` are left out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = sorted(_walk(root))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def sounds(self) -> list[str]:
        """Files that are sound by their name."""
        return [file for file in self.files if _suffix(file) in EXTENSIONS]

    @cached_property
    def foreign(self) -> list[str]:
        """Files that are sound of kinds that cannot be read."""
        return [file for file in self.files if _suffix(file) in FOREIGN]

    @cached_property
    def _by_folder(self) -> dict[str, list[str]]:
        folders: dict[str, list[str]] = defaultdict(list)
        for file in self.files:
            folders[file.rpartition("/")[0]].append(file)
        return folders

    def beside(self, file: str) -> list[str]:
        """The other files in the folder of `file`."""
        return [other for other in self._by_folder[file.rpartition("/")[0]] if other != file]

    def __contains__(self, file: object) -> bool:
        return file in self._known

    def match(self, globs: Iterable[str], exclude: Iterable[str] = (), sounds: bool = True) -> list[str]:
        """Files (or only sounds) that one of `globs` matches and none of `exclude`."""
        wanted, unwanted = _compile(globs), _compile(exclude)
        files = self.sounds if sounds else self.files
        return [file for file in files if wanted.fullmatch(file) and not unwanted.fullmatch(file)]


def _suffix(file: str) -> str:
    return PurePosixPath(file).suffix.lower()


def _walk(root: Path) -> list[str]:
    found: list[str] = []
    # A user's folder may link to others; each real folder is entered once, so that links in a circle end.
    seen: set[str] = set()
    prefix = len(str(root)) + 1
    for folder, inner, files in os.walk(root, followlinks=True, onerror=_refuse):
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name != "__MACOSX")
        relative = folder[prefix:].replace(os.sep, "/")
        found += [f"{relative}/{name}" if relative else name for name in files if not name.startswith(".")]
    return found


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror}); mend its permissions")


def _compile(globs: Iterable[str]) -> re.Pattern[str]:
    """One regular expression for globs where `*` stays in a folder and `**` does not."""
    alternatives = [_translate(glob) for glob in globs]
    return re.compile("|".join(alternatives) if alternatives else r"(?!)", re.DOTALL)


def _translate(glob: str) -> str:
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", glob)
    known = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    translated = ""
    for token in tokens:
        if token in known:
            translated += known[token]
        elif token.startswith("[") and token.endswith("]") and len(token) > 2:
            translated += "[" + token[1:-1].replace("!", "^", 1) + "]" if token[1] == "!" else token
        else:
            translated += re.escape(token)
    return f"(?:{translated})"
