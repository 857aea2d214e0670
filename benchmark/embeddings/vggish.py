"""VGGish: 0.96 s of 16 kHz audio per frame, embedding of 128.

`model: vggish` is the embedding layer itself, `model: vggish-pca` the whitened and quantized values of AudioSet's
release, for which the principal components, `vggish_pca_params.npz`, lie beside the weights or are named by
`args: {pca: {http: ..., file: ...}}`.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.audioset_mel import HOP, PATCH, SAMPLE_RATE, LogMel
from benchmark.embeddings.conversion import fill_converted
from benchmark.embeddings.formats import read_tensor_slices
from benchmark.embeddings.precision import DTYPES, InPrecision
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import RANDOM, companion, fill, needed, read_state
from benchmark.embeddings.windows import WindowEmbedding, Windows, hop_in_frames
from benchmark.errors import UserError
from benchmark.models.strict import load_strict
from benchmark.models.vggish import QUANTIZATIONS, SIZE, Postprocessor, VGGish, load_pca, load_tensorflow

MODELS = ("vggish", "vggish-pca")
LOG_OFFSET = 0.01

_BATCH = 32
_DEFAULTS = {"hop": 0.96, "final_relu": False, "quantization": "truncate", "pca": {}, "dtype": "float32"}


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build VGGish from torchvggish's checkpoint or from the authors' own, `vggish_model.ckpt`.

    Raises:
        UserError: another model, arguments that do not fit, or weights that are missing or not VGGish's.
    """
    args = check_args(config, _DEFAULTS)
    check_choice(config, "model", config.model, MODELS)
    check_choice(config, "args: quantization", args["quantization"], QUANTIZATIONS)
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    net, path = _with_weights(config, weights, args["final_relu"])
    network = nn.Sequential(LogMel(LOG_OFFSET), InPrecision(net, args["dtype"], device))
    whole_numbers = config.model == "vggish-pca"
    if whole_numbers:
        components = companion(config, path, "pca", "vggish_pca_params.npz")
        network.append(_postprocessor(components, args["quantization"]))
    # A level must not flip because another batch rounds otherwise.
    batch_size = 1 if whole_numbers and torch.device(device).type == "cpu" else _BATCH
    return WindowEmbedding(
        config,
        network.to(device).eval(),
        batch_size,
        Windows(PATCH, HOP * hop_in_frames(config, args["hop"], HOP, SAMPLE_RATE)),
        sample_rate=SAMPLE_RATE,
        dim=SIZE,
        device=device,
        batch_free=not whole_numbers,
    )


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs; the convolutions are what the freezing point fixes.

    Raises:
        UserError: as `build`, or `vggish-pca`, whose numbers are whole.
    """
    args = check_args(config, _DEFAULTS)
    check_choice(config, "model", config.model, MODELS[:1])
    windows = Windows(PATCH, HOP * hop_in_frames(config, args["hop"], HOP, SAMPLE_RATE))
    design = Design(lambda net: [net.embeddings], VGGish.rest, SIZE, VGGish.stem)
    return zoo_trainable(
        SAMPLE_RATE,
        window_inputs(windows, LogMel(LOG_OFFSET)),
        design,
        lambda: VGGish(args["final_relu"]),
        lambda: _with_weights(config, weights, args["final_relu"])[0],
    )


def _with_weights(config: EmbeddingConfig, weights: Path | None, final_relu: bool) -> tuple[VGGish, Path]:
    """The network, and the file that its weights came from, beside which others may lie."""
    path = needed(config, weights, "torchvggish's .pth file or the authors' .ckpt file")
    net = VGGish(final_relu)
    if path.suffix == ".ckpt":
        fill_converted(net, path, lambda: load_tensorflow(net, read_tensor_slices(path)))
    else:
        fill(path, lambda: load_strict(net, read_state(path)))
    return net, path


def _postprocessor(path: Path, quantization: str) -> Postprocessor:
    postprocessor = Postprocessor(quantization)
    if path == RANDOM:
        torch.nn.init.orthogonal_(postprocessor.pca_eigen_vectors)
        return postprocessor
    try:
        with np.load(path, allow_pickle=False) as arrays:
            fill(path, lambda: load_pca(postprocessor, dict(arrays)))
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not the principal components of VGGish ({error}); fetch it again") from None
    return postprocessor
