"""VGGish: a VGG of six convolutions on 0.96 s of log-mel spectrum, and the post-processing of AudioSet's release.

Hershey et al., "CNN Architectures for Large-Scale Audio Classification", ICASSP 2017; tensorflow/models,
research/audioset/vggish. The names of the modules are those of torchvggish's checkpoint.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.models.keras_layout import assign, check_layers

FRAMES, BANDS, SIZE = 96, 64, 128

# Output channels; M: maximum over 2 x 2.
_LAYERS = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M")

# What TensorFlow's definition calls them.
_TENSORFLOW = (
    "conv1",
    "conv2",
    "conv3/conv3_1",
    "conv3/conv3_2",
    "conv4/conv4_1",
    "conv4/conv4_2",
    "fc1/fc1_1",
    "fc1/fc1_2",
    "fc2",
)

QUANTIZATIONS = ("truncate", "round", "none")
_CLIP = 2.0


class VGGish(nn.Module):
    """Log-mel patches (B, 96, 64) to embeddings (B, 128).

    Args:
        final_relu: TensorFlow's definition of 2020 and later has no activation behind the embedding layer; the one
            before, and torchvggish, rectify it.
    """

    def __init__(self, final_relu: bool = False):
        super().__init__()
        layers, channels = [], 1
        for width in _LAYERS:
            if width == "M":
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(channels * (FRAMES // 16) * (BANDS // 16), 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, SIZE),
        )
        self.final_relu = final_relu

    def stem(self, x: Tensor) -> Tensor:
        """Patches (B, 96, 64) to the flattened maps of the last convolution, (B, 12288)."""
        return self.features(x.unsqueeze(1)).permute(0, 2, 3, 1).flatten(1)

    def rest(self, x: Tensor) -> Tensor:
        """Those maps to embeddings (B, 128)."""
        x = self.embeddings(x)
        return torch.relu(x) if self.final_relu else x

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.stem(x))


class Postprocessor(nn.Module):
    """Whitens embeddings (B, 128) by principal components and maps [-2, 2] to [0, 255].

    Args:
        quantization: `truncate` to whole numbers as TensorFlow's code does, `round` as torchvggish does, or `none`.

    Raises:
        ValueError: another quantization.
    """

    def __init__(self, quantization: str = "truncate"):
        super().__init__()
        if quantization not in QUANTIZATIONS:
            raise ValueError(f"quantization {quantization!r}; it must be one of {', '.join(QUANTIZATIONS)}")
        self.quantization = quantization
        self.register_buffer("pca_eigen_vectors", torch.zeros(SIZE, SIZE))
        self.register_buffer("pca_means", torch.zeros(SIZE))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.pca_means) @ self.pca_eigen_vectors.T
        x = (x.clamp(-_CLIP, _CLIP) + _CLIP) * (255.0 / (2 * _CLIP))
        return {"truncate": torch.trunc, "round": torch.round, "none": torch.clone}[self.quantization](x)


def load_tensorflow(net: VGGish, variables: Mapping[str, np.ndarray]) -> None:
    """Copy the variables of the authors' checkpoint, `vggish_model.ckpt`, into `net`.

    Raises:
        ValueError: a variable is missing, unexpected or of another shape; the message names it.
    """
    convolutions = [module for module in net.features if isinstance(module, nn.Conv2d)]
    dense = [module for module in net.embeddings if isinstance(module, nn.Linear)]
    layers = {f"vggish/{name}": module for name, module in zip(_TENSORFLOW, (*convolutions, *dense), strict=True)}
    found: dict[str, list[np.ndarray]] = {}
    for name in sorted(variables, reverse=True):
        layer, _, kind = name.rpartition("/")
        # Weights before biases.
        found.setdefault(layer if kind in ("weights", "biases") else name, []).append(variables[name])
    check_layers(found, list(layers))
    for name, module in layers.items():
        assign(module, found[name], name)


def load_pca(postprocessor: Postprocessor, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy the arrays of `vggish_pca_params.npz`.

    Raises:
        ValueError: an array is missing, unexpected or of another size; the message names it.
    """
    targets = dict(postprocessor.named_buffers())
    if arrays.keys() != targets.keys():
        raise ValueError(f"arrays {sorted(arrays)}, expected {sorted(targets)}")
    for name, target in targets.items():
        if arrays[name].size != target.numel():
            raise ValueError(f"{name}: shape {arrays[name].shape}, expected {tuple(target.shape)}")
        target.copy_(torch.from_numpy(np.asarray(arrays[name], dtype=np.float32).reshape(target.shape)))
