"""Weights in the layout of another framework are turned into ours once, and kept as safetensors under LEVERET_HOME.

A conversion belongs to the bytes that it was made from, to the network, and to the code that made it: a file that changed, or a
mended reader, is never answered by an older conversion.
"""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from torch import nn

from benchmark.config.keys import code_version, content_key
from benchmark.datasets.transfer import sha256_file
from benchmark.embeddings.weight_files import RANDOM, fill, read_state
from benchmark.embeddings.weight_sources import home
from benchmark.errors import UserError
from benchmark.models.strict import load_strict

FOLDER = "converted"


def fill_converted(net: nn.Module, path: Path, load: Callable[[], None], beside: Path | None = None) -> None:
    """Fill `net` from what was converted before, or let `load` do it and keep what came out.

    Nothing is loaded for `RANDOM`.

    Args:
        net: in the state in which `load` takes it; its state dict is what is kept.
        path: the authors' file.
        load: fills `net` from it, strictly.
        beside: a second file that `load` reads.

    Raises:
        UserError: for the ValueError of a strict loader, with `path` in front.
    """
    if path == RANDOM:
        return
    kept = _place(net, path, load, beside)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(kept.with_name(f"{kept.name}.lock")):
        # Torn by a full disk, say, or of a network that had other layers when it was written.
        with contextlib.suppress(UserError, ValueError):
            if kept.is_file():
                load_strict(net, read_state(kept))
                return
        fill(path, load)
        _keep(net, kept, path)


def _place(net: nn.Module, path: Path, load: Callable[[], None], beside: Path | None) -> Path:
    files = [sha256_file(file) for file in (path, beside) if file is not None]
    name = type(net).__name__
    # What reads the file lies in the modules of the network and of `load`.
    code = code_version(type(net).__module__, load.__module__)
    return home() / FOLDER / content_key([files, name]) / f"{name}-{code}.safetensors"


def _keep(net: nn.Module, kept: Path, path: Path) -> None:
    from safetensors.torch import save_file

    for older in kept.parent.glob("*.safetensors"):
        older.unlink()
    state = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    part = kept.with_name(f"{kept.name}.part")
    save_file(state, part, metadata={"leveret": json.dumps({"of": path.name})})
    part.replace(kept)
