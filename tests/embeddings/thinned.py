"""Large networks with few blocks or narrow inner layers: what is around them is that of the full size.

Front ends, windows, batches, padding, pooling and read-outs are the family's own code, and so are the sizes of vectors
and hops. What a network does within an example has its parity tests in full size.
"""

import dataclasses

import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings import beats, hub_models, passt
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.seeded import build_seeded
from benchmark.models import openl3, slowfast_nfnet

_CHANNELS = (4, 4, 8, 8, 8, 8, 8, 512)
_WAVEFORM = {"intermediate_size": 64, "conv_dim": (32,) * 7}
_SETTINGS = {
    "Wav2Vec2": _WAVEFORM,
    "Hubert": _WAVEFORM,
    "WavLM": _WAVEFORM,
    "Data2VecAudio": _WAVEFORM,
    "Whisper": {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "vocab_size": 99,
    }
    | {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3},
    # One row of patches in place of twelve.
    "AST": {"intermediate_size": 64, "frequency_stride": 113},
    "ClapAudio": {"depths": [1, 1, 1, 1], "mlp_ratio": 0.25},
}


def thin(monkeypatch: pytest.MonkeyPatch, blocks: int = 1) -> None:
    """Let the families that have large networks build thin ones until the test is over.

    Args:
        blocks: of the transformers of the hub whose layers can be chosen.
    """
    monkeypatch.setattr(openl3, "CHANNELS", _CHANNELS)
    monkeypatch.setattr(slowfast_nfnet, "_DEPTHS", (1, 1, 1, 1))
    monkeypatch.setattr(beats, "BEATs", lambda: _BEATS(layers=1, hidden=64))
    shallow = {name: dataclasses.replace(variant, depth=1) for name, variant in passt.VARIANTS.items()}
    monkeypatch.setattr(passt, "VARIANTS", shallow)
    shapes = {}
    for name, shape in hub_models.SHAPES.items():
        settings = _SETTINGS[shape.architecture]
        depth = {"num_hidden_layers": blocks} if "intermediate_size" in settings else {}
        shapes[name] = dataclasses.replace(shape, settings=shape.settings | settings | depth)
    monkeypatch.setattr(hub_models, "SHAPES", shapes)


_BEATS = beats.BEATs


def build_thin(config: EmbeddingConfig) -> Embedding:
    """Build with random weights, in thin families; a layer that is no longer there becomes the first.

    Biases of zero and scales of one, as networks are initialised with, would hide mistakes: they get noise.
    """
    if isinstance(config.layer, int):
        config = config.model_copy(update={"layer": 1})
    embedding = build_seeded(config)
    network = getattr(embedding, "network", None)
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters() if isinstance(network, torch.nn.Module) else ():
        if weight.dim() == 1:
            weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return embedding
