"""Tiny models of the transformers library with random weights, in local folders as the hub has them."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

BLOCKS = 3

_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": BLOCKS,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
_WAVE = {**_SMALL, "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}


def wav2vec2(normalise: bool, rate: int = 16_000) -> transformers.Wav2Vec2FeatureExtractor:
    return transformers.Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=normalise)


def make(kind: str, folder: Path) -> Path:
    """Write the model called `kind` into `folder` and give the folder."""
    torch.manual_seed(0)
    model, extractor = _KINDS[kind]()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            # Biases of 0 and scales of 1 would hide mistakes.
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    if kind == "mert":
        _as_mert(folder)
    return folder


def _whisper():
    config = transformers.WhisperConfig(
        d_model=32, encoder_layers=BLOCKS, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=50, num_mel_bins=80, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=3, begin_suppress_tokens=None,
    )  # fmt: skip
    return transformers.WhisperModel(config), transformers.WhisperFeatureExtractor()


def _clap():
    audio = transformers.ClapAudioConfig(
        window_size=8, spec_size=256, patch_embeds_hidden_size=16, num_hidden_layers=3, hidden_size=64,
        projection_dim=24, depths=[1, 1, 1], num_attention_heads=[2, 2, 2],
    )  # fmt: skip
    text = transformers.ClapTextConfig(**_SMALL, vocab_size=20)
    config = transformers.ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24)
    extractor = transformers.ClapFeatureExtractor(
        truncation="rand_trunc", padding="repeatpad", frequency_min=50, frequency_max=14_000
    )
    return transformers.ClapModel(config), extractor


def _mert():
    config = transformers.HubertConfig(**_WAVE)
    return transformers.HubertModel(config), wav2vec2(True, 24_000)


def _as_mert(folder: Path) -> None:
    """MERT's own model type, and weights in the layout of old versions."""
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mert_model", "architectures": ["MERTModel"], "feature_extractor_cqt": False}
    config["auto_map"] = {"AutoConfig": "configuration_MERT.MERTConfig", "AutoModel": "modeling_MERT.MERTModel"}
    (folder / "config.json").write_text(json.dumps({**config, "sample_rate": 24_000, "deepnorm": False}))
    weights = folder / "model.safetensors"
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = load_file(weights)
    for new, name in old.items():
        state = {key.replace(new, name): value for key, value in state.items()}
    weights.unlink()
    torch.save(state, folder / "pytorch_model.bin")


def drop(folder: Path, key: str) -> None:
    """Take one array out of the weights of a folder."""
    state = load_file(folder / "model.safetensors")
    del state[key]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


_KINDS = {
    "wav2vec2": lambda: (transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**_WAVE)), wav2vec2(True)),
    "wav2vec2-large": lambda: (
        transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config(**_WAVE, do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True)
        ),
        wav2vec2(True),
    ),
    "hubert": lambda: (transformers.HubertModel(transformers.HubertConfig(**_WAVE)), wav2vec2(True)),
    "wavlm": lambda: (transformers.WavLMModel(transformers.WavLMConfig(**_WAVE)), wav2vec2(False)),
    "data2vec": lambda: (
        transformers.Data2VecAudioModel(transformers.Data2VecAudioConfig(**_WAVE, conv_pos_kernel_size=19)),
        wav2vec2(True),
    ),
    "mert": _mert,
    "whisper": _whisper,
    "ast": lambda: (transformers.ASTModel(transformers.ASTConfig(**_SMALL)), transformers.ASTFeatureExtractor()),
    "clap": _clap,
    "other": lambda: (
        transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**_SMALL)),
        transformers.SeamlessM4TFeatureExtractor(),
    ),
}
