"""Loading of state dicts with errors that name what does not fit."""

from collections.abc import Mapping

from torch import Tensor, nn


def load_strict(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Fill `net` from a state dict with its own keys.

    Raises:
        ValueError: names all missing and unexpected keys, or the first wrong shape.
    """
    own = net.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unexpected:
        raise ValueError(f"missing keys: {missing or 'none'}; unexpected keys: {unexpected or 'none'}")
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise ValueError(f"key {key}: shape {tuple(value.shape)}, expected {tuple(own[key].shape)}")
    net.load_state_dict(state)
