"""Any model of the `transformers` library that hears: `model` is a hub id or a local folder, `revision` a commit.

Sample rate, size and hop are the model's own. `layer` is a number, a list of numbers (their mean), `mean` (of all), `all`
(side by side, as many as `layers` says) or `last`; left out, it is what the model is meant to give: the output
of wav2vec 2.0 and its relatives (HuBERT, WavLM, data2vec, MERT ...) and of Whisper's encoder, the pooled vector of AST,
the projected vector of CLAP.

Clips are heard in windows of `args: {window: 30.0}` seconds, or as long as the model demands: 30 s for Whisper,
10.24 s for AST, 10 s for CLAP. Normalisation, where the feature extractor asks for it, is that of the whole clip. Where
a window gives one vector, `args: {hop: ...}` makes windows overlap. Batches hold clips of one length only, as padding
would change the statistics that some of these models normalise with.
"""

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.hub_models import SHAPES, HubModel, load_hub_model
from benchmark.embeddings.hub_readouts import ReadOut, TensorReadOut, WaveformReadOut, read_out
from benchmark.embeddings.precision import DTYPES, convert
from benchmark.embeddings.spans import SpanEmbedding
from benchmark.embeddings.spans import Windows as Spans
from benchmark.embeddings.trainable import Design, Trainable, window_inputs, zoo_trainable
from benchmark.embeddings.weight_files import RANDOM
from benchmark.embeddings.windows import Windows
from benchmark.errors import UserError

# As the library's Wav2Vec2FeatureExtractor has it.
_VARIANCE_FLOOR = 1e-7


class HubEmbedding(SpanEmbedding):
    """Clips through a `ReadOut`.

    Args:
        normalise: whether clips are brought to mean 0 and variance 1.
        config, network, device: as in `SpanEmbedding`.
    """

    def __init__(self, config: EmbeddingConfig, network: ReadOut, normalise: bool, device: str | torch.device):
        super().__init__(
            config,
            network,
            network.schedule,
            sample_rate=network.rate,
            dim=network.dim,
            hop_seconds=network.hop / network.rate,
            device=device,
        )
        self.normalise = normalise

    def _embed(self, waveforms: list[np.ndarray]) -> list[tuple[Tensor, np.ndarray]]:
        if self.normalise:
            waveforms = [normalised(x) for x in waveforms]
        return super()._embed(waveforms)


def normalised(waveform: np.ndarray) -> np.ndarray:
    """A waveform (samples,) with mean 0 and variance 1."""
    return (waveform - waveform.mean()) / np.sqrt(waveform.var() + _VARIANCE_FLOOR)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> HubEmbedding:
    """Build an embedding; `weights`, if given, stand in for the weights of the hub.

    Raises:
        UserError: a model, revision, layer or argument that does not fit, or weights that are not whole.
    """
    args = _arguments(config)
    network = _network(config, load_hub_model(config, weights), args)
    convert(network.net, args["dtype"], device)
    return HubEmbedding(config, network.to(device).eval(), getattr(network, "normalise", False), device)


def trainable(config: EmbeddingConfig, weights: Path | None) -> Trainable:
    """What training needs: windows one behind the other, whose read-out is the mean over their frames.

    Everything but the second half of the blocks is what the freezing point fixes. Whisper and AST hear windows of their
    own length, others of `window` s, the last one completed with zeros. What the library masks or leaves out at random in
    training, apart from dropout, stays whole.

    Raises:
        UserError: as `build`, or a kind of model that cannot be trained here.
    """
    args = _arguments(config)
    random = weights is None and str(config.model) in SHAPES and config.weights is None
    model = load_hub_model(config, RANDOM if random else weights)
    network = _network(config, model, args)
    samples = _window(network, args["window"])
    if not isinstance(network, TensorReadOut):
        raise UserError(f"{source(config)}: trainable: models of this kind cannot be trained here")
    try:
        network.late()
    except ValueError as error:
        raise UserError(f"{source(config)}: {error}") from None

    def inputs(waveform: np.ndarray, limit: int | None) -> Tensor:
        if getattr(network, "normalise", False):
            waveform = normalised(waveform)
        with torch.no_grad():
            return window_inputs(Windows(samples, samples, tail="pad"), network.prepared)(waveform, limit)

    def fresh() -> ReadOut:
        return _network(config, dataclasses.replace(model, net=_quiet(type(model.net)(model.config))), args)

    def loaded() -> ReadOut:
        return _network(config, dataclasses.replace(model, net=_quiet(copy.deepcopy(model.net))), args)

    return zoo_trainable(model.sample_rate, inputs, Design(ReadOut.late, _mean, network.dim), fresh, loaded)


def _mean(network: TensorReadOut, x: Tensor) -> Tensor:
    return network.run(x).mean(dim=1)


def _quiet(net: nn.Module) -> nn.Module:
    """A model without what the library does at random in training, apart from dropout."""
    for name in ("layerdrop", "encoder_layerdrop"):
        if hasattr(net.config, name):
            setattr(net.config, name, 0.0)
    if hasattr(net.config, "apply_spec_augment"):
        net.config.apply_spec_augment = False
    for module in net.modules():
        if hasattr(module, "layerdrop"):
            module.layerdrop = 0.0
    return net


def _window(network: ReadOut, window_s: float) -> int:
    """Samples of a window in training."""
    schedule = network.schedule
    if isinstance(network, WaveformReadOut):
        return max(schedule.least, round(window_s * network.rate))
    own = schedule.window if isinstance(schedule, Spans) else (schedule.window - 1) * schedule.step + schedule.field
    return int(own)


def _arguments(config: EmbeddingConfig) -> dict[str, Any]:
    args = check_args(config, {"window": 30.0, "hop": 0.0, "dtype": "float32"})
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    if args["window"] <= 0 or args["hop"] < 0:
        raise UserError(f"{source(config)}: args: window must be more than 0 s, and hop 0 or more")
    return args


def _network(config: EmbeddingConfig, model: HubModel, args: dict[str, Any]) -> ReadOut:
    try:
        network = read_out(model, config.layer, args["window"], args["hop"])
        if network.states != config.layers:
            raise ValueError(f"layers: the model gives {network.states} side by side, not {config.layers}")
    except ValueError as error:
        raise UserError(f"{source(config)}: {error}") from None
    return network
