"""Published weights of separators: Open-Unmix's files, torchaudio's Conv-TasNet and Hybrid Demucs."""

from collections.abc import Mapping
from pathlib import Path

import torch

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.errors import UserError
from benchmark.models.strict import load_strict
from benchmark.separation.base import Separator

# Buffers of Open-Unmix's checkpoints that are no weights: its own front end.
_IGNORED = ("stft.window", "transform.0.window", "sample_rate", "nb_bins")


def load_published(separator: Separator, config: SeparatorConfig, files: Mapping[str, Path]) -> None:
    """Load weights into a separator, strictly: `all` for the whole network, or a file a source.

    Raises:
        UserError: a source has no file, or a file is not of this network.
    """
    where = f"separators/{config.name}.yaml"
    targets = dict(zip(separator.sources, getattr(separator, "nets", []), strict=False))
    if set(files) == {"all"}:
        targets = {"all": separator.net}
    for name, net in targets.items():
        if name not in files:
            raise UserError(f"{where}: weights: no file for {name}; there are files for {', '.join(files)}")
        try:
            state = torch.load(files[name], map_location="cpu", weights_only=True)
        except Exception as error:
            raise UserError(f"{files[name]}: not a checkpoint that is safe to load ({error}); fetch it again") from None
        state = {key: value for key, value in state.items() if key not in _IGNORED}
        try:
            load_strict(net, state)
        except (ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"{files[name]}: {error}; it is not of this network") from None
