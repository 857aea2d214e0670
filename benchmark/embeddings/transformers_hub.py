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

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice, source
from benchmark.embeddings.hub_models import load_hub_model
from benchmark.embeddings.hub_readouts import ReadOut, read_out
from benchmark.embeddings.precision import DTYPES
from benchmark.embeddings.spans import SpanEmbedding
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
            waveforms = [(x - x.mean()) / np.sqrt(x.var() + _VARIANCE_FLOOR) for x in waveforms]
        return super()._embed(waveforms)


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> HubEmbedding:
    """Build an embedding; `weights`, if given, stand in for the weights of the hub.

    Raises:
        UserError: a model, revision, layer or argument that does not fit, or weights that are not whole.
    """
    args = check_args(config, {"window": 30.0, "hop": 0.0, "dtype": "float32"})
    check_choice(config, "args: dtype", args["dtype"], DTYPES)
    if args["window"] <= 0 or args["hop"] < 0:
        raise UserError(f"{source(config)}: args: window must be more than 0 s, and hop 0 or more")
    model = load_hub_model(config, weights)
    try:
        network = read_out(model, config.layer, args["window"], args["hop"])
        if network.states != config.layers:
            raise ValueError(f"layers: the model gives {network.states} side by side, not {config.layers}")
    except ValueError as error:
        raise UserError(f"{source(config)}: {error}") from None
    network.net.to(getattr(torch, args["dtype"]))
    return HubEmbedding(config, network.to(device).eval(), getattr(network, "normalise", False), device)
