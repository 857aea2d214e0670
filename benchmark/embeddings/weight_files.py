"""Opening files of weights with errors that a user can act on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig, WeightsConfig
from benchmark.embeddings.arguments import source
from benchmark.embeddings.weights import resolve
from benchmark.errors import UserError

# In place of a file: the network keeps the weights that it is initialised with (`benchmark.embeddings.seeded`).
RANDOM = Path("random weights")


def needed(config: EmbeddingConfig, weights: Path | None, what: str) -> Path:
    """`weights`, which must be given.

    Raises:
        UserError: there are none; says that `what` is needed.
    """
    if weights is None:
        raise UserError(f"{source(config)}: weights: family {config.family} needs {what}; name it in `weights`")
    return weights


def fill(path: Path, load: Callable[[], Any]) -> Any:
    """What `load` gives; nothing is loaded for `RANDOM`.

    Raises:
        UserError: for the ValueError of a strict loader, with `path` in front.
    """
    if path == RANDOM:
        return None
    try:
        return load()
    except ValueError as error:
        raise UserError(f"{path}: {error}; give the file that belongs to this model") from None


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by key from a .safetensors file or a PyTorch file that holds nothing but tensors.

    Raises:
        UserError: another kind of file.
    """
    import pickle

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"{path}: not a file of tensors ({str(error).splitlines()[0]}); fetch it again") from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: not a dictionary of tensors; save the model's state_dict")
    return state


def companion(config: EmbeddingConfig, weights: Path, argument: str, name: str) -> Path:
    """A second file that belongs to the weights: beside them under `name`, or from the source in the YAML's `args`.

    `RANDOM` has `RANDOM` beside it.

    Args:
        config: the embedding's YAML; `args: {<argument>: {http: ..., file: ..., sha256: ...}}` is written as
            `weights` is.
        weights: the first file.
        argument: which argument describes the second one.
        name: what it is called beside the first one.

    Raises:
        UserError: it is in neither place.
    """
    if weights == RANDOM:
        return RANDOM
    beside = weights.with_name(name)
    if beside.is_file():
        return beside
    given = config.args.get(argument)
    if not given:
        raise UserError(f"{source(config)}: args: {argument}: there is no {beside}; put it there or name a source")
    try:
        described = WeightsConfig.model_validate(given)
    except ValidationError as error:
        raise UserError(f"{source(config)}: args: {argument}: {error.errors()[0]['msg']}; mend it") from None
    return resolve(described, source(config))
