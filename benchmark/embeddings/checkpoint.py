"""Checkpoints of the networks that are trained here: one safetensors file with the network, its input statistics and
its story.

Tensors: `net.<key>` of the network's state dict, `features.mean` and `features.scale` of its `Standardizer`. The
file's metadata have one entry, `leveret`, a
JSON object: `model`, `features` (names known to `benchmark.embeddings.pretrained`), `classes` (their names, in the
order of the outputs) and `provenance` (whatever the training wants to be known: data, seed, epochs, versions).
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from benchmark.audio.cepstra import Standardizer
from benchmark.errors import UserError

_KEY = "leveret"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A trained network on disk.

    Attributes:
        model: name of the architecture.
        features: name of its front end.
        classes: names of the outputs.
        state: the network's state dict.
        standardizer: statistics of the training part.
        provenance: how it was trained.
    """

    model: str
    features: str
    classes: tuple[str, ...]
    state: dict[str, Tensor]
    standardizer: Standardizer
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        net: nn.Module,
        model: str,
        features: str,
        classes: tuple[str, ...],
        standardizer: Standardizer,
        provenance: dict[str, Any] | None = None,
    ) -> "Checkpoint":
        """A checkpoint of `net` as it is now."""
        state = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
        return cls(model, features, tuple(classes), state, standardizer, provenance or {})

    def write(self, path: Path) -> None:
        """Write the file under another name, rename it when whole. The same checkpoint gives the same bytes."""
        from safetensors.torch import save_file

        tensors = {f"net.{key}": value for key, value in self.state.items()}
        tensors["features.mean"] = self.standardizer.mean.detach().cpu()
        tensors["features.scale"] = self.standardizer.scale.detach().cpu()
        story = {
            "model": self.model,
            "features": self.features,
            "classes": list(self.classes),
            "provenance": self.provenance,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        save_file(tensors, part, metadata={_KEY: json.dumps(story, sort_keys=True)})
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Read what `write` wrote.

        Raises:
            UserError: the file is not such a checkpoint.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="pt") as file:
                story = json.loads((file.metadata() or {})[_KEY])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            mean, scale = tensors.pop("features.mean"), tensors.pop("features.scale")
            state = {key.removeprefix("net."): value for key, value in tensors.items()}
            classes = tuple(str(name) for name in story["classes"])
            return cls(
                story["model"], story["features"], classes, state, Standardizer(mean, scale), story["provenance"]
            )
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(
                f"{path}: not a checkpoint of `leveret pretrain` ({type(error).__name__}: {error}); train it again"
            ) from None
