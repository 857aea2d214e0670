"""Models of the `transformers` library, from the hub at a pinned commit or a local folder, loaded whole or not at all.

No code that comes with a model is ever run. MERT, whose own code current versions of the library cannot run, is a
HuBERT with another sample rate, and is built as one.
"""

import dataclasses
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import source
from benchmark.embeddings.hub_commits import is_commit, whole_commit
from benchmark.embeddings.torch_checkpoint import read_checkpoint, state_in
from benchmark.embeddings.weight_files import RANDOM, read_state
from benchmark.errors import UserError

# What masks inputs in training is no part of what the network computes.
_TRAINING_ONLY = ("masked_spec_embed",)
# Extensions of MERT's architecture that none of its published base models uses.
_MERT_OFF = ("feature_extractor_cqt", "deepnorm")


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a model of the hub is made of, without its weights.

    Attributes:
        architecture: prefix of the library's classes.
        settings: where it differs from the library's defaults.
        extractor: the library's class of feature extractor.
        hearing: where that differs from its defaults.
        net: the library's class, where it is not `<architecture>Model`.
    """

    architecture: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    extractor: str = "Wav2Vec2FeatureExtractor"
    hearing: dict[str, Any] = dataclasses.field(default_factory=dict)
    net: str | None = None


_DATA2VEC = Shape("Data2VecAudio", hearing={"do_normalize": True})
SHAPES = {
    "facebook/wav2vec2-base": Shape("Wav2Vec2", hearing={"do_normalize": True}),
    "facebook/hubert-base-ls960": Shape("Hubert", hearing={"do_normalize": True}),
    "microsoft/wavlm-base-plus": Shape("WavLM", hearing={"do_normalize": False}),
    "facebook/data2vec-audio-base": _DATA2VEC,
    "facebook/data2vec-audio-base-960h": _DATA2VEC,
    "m-a-p/MERT-v1-95M": Shape("Hubert", hearing={"do_normalize": True, "sampling_rate": 24_000}),
    "openai/whisper-tiny": Shape("Whisper", extractor="WhisperFeatureExtractor"),
    "openai/whisper-base": Shape(
        "Whisper",
        {
            "d_model": 512,
            "encoder_layers": 6,
            "decoder_layers": 6,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
        },
        "WhisperFeatureExtractor",
    ),
    "MIT/ast-finetuned-audioset-10-10-0.4593": Shape("AST", extractor="ASTFeatureExtractor"),
    "laion/clap-htsat-unfused": Shape(
        "ClapAudio",
        {"projection_dim": 512},
        "ClapFeatureExtractor",
        {"truncation": "rand_trunc", "padding": "repeatpad", "frequency_min": 50, "frequency_max": 14_000},
        "ClapAudioModelWithProjection",
    ),
}


@dataclasses.dataclass(frozen=True)
class HubModel:
    """A model with its weights.

    Attributes:
        net: in evaluation mode, on the CPU.
        config: the library's configuration of `net`.
        extractor: the library's feature extractor.
        kind: the model type, as its configuration states it.
    """

    net: nn.Module
    config: Any
    extractor: Any
    kind: str

    @property
    def sample_rate(self) -> int:
        """Hz, of the waveforms that the feature extractor takes."""
        return int(self.extractor.sampling_rate)


def load_hub_model(config: EmbeddingConfig, weights: Path | None) -> HubModel:
    """Load a model: its configuration and feature extractor from `config.model`, its weights from there or `weights`.

    Raises:
        UserError: no model or no commit is named, the hub does not answer, the model is unknown to the library, or
            weights are missing or of another shape; names them.
    """
    from transformers import AutoFeatureExtractor, PretrainedConfig

    if weights == RANDOM:
        return _random(config)
    if config.model is None:
        raise UserError(f"{source(config)}: model: missing; write a hub id such as facebook/wav2vec2-base")
    local = Path(config.model).is_dir()
    if not local and not is_commit(config.revision):
        raise UserError(
            f"{source(config)}: revision: {config.revision!r} is no commit; write its hash, as branches and tags move"
        )
    try:
        where = {} if local else {"revision": whole_commit(config.model, str(config.revision))}
        raw, _ = PretrainedConfig.get_config_dict(config.model, **where)
        extractor = AutoFeatureExtractor.from_pretrained(config.model, trust_remote_code=False, **where)
        kind = str(raw.get("model_type"))
        architecture, settings = _architecture(config, kind, raw)
        if weights is None:
            net, report = architecture.from_pretrained(
                config.model, config=settings, output_loading_info=True, trust_remote_code=False, **where
            )
        else:
            net, report = architecture.from_pretrained(
                None, config=settings, state_dict=_state(weights), output_loading_info=True
            )
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{source(config)}: model: {config.model} cannot be loaded ({reason}); check it") from error
    _check(config, report)
    return HubModel(net.float().eval(), net.config, extractor, kind)


def _architecture(config: EmbeddingConfig, kind: str, raw: dict[str, Any]) -> tuple[Any, Any]:
    """The class of a model and its configuration."""
    import transformers

    if kind == "mert_model":
        for field in _MERT_OFF:
            if raw.get(field):
                raise UserError(f"{source(config)}: model: {config.model} has {field}, which is not known here")
        known = {key: value for key, value in raw.items() if key not in ("model_type", "auto_map", "architectures")}
        return transformers.HubertModel, transformers.HubertConfig.from_dict(known)
    settings = transformers.AutoConfig.for_model(**raw)
    if kind == "clap":
        return transformers.ClapAudioModelWithProjection, settings.audio_config
    return transformers.MODEL_MAPPING[type(settings)], settings


def _random(config: EmbeddingConfig) -> HubModel:
    """A model of the shape of `config.model` without anything from the hub, for those of which the shape is known here.

    Raises:
        UserError: it is not known.
    """
    import transformers

    shape = SHAPES.get(str(config.model))
    if shape is None:
        raise UserError(
            f"{source(config)}: model: the shape of {config.model} is known to the hub alone; fetch its weights"
        )
    settings = getattr(transformers, f"{shape.architecture}Config")(**shape.settings)
    extractor = getattr(transformers, shape.extractor)(**shape.hearing)
    kind = "clap" if shape.architecture.startswith("Clap") else settings.model_type
    return HubModel(
        getattr(transformers, shape.net or f"{shape.architecture}Model")(settings).eval(), settings, extractor, kind
    )


def _state(path: Path) -> dict[str, Tensor]:
    return read_state(path) if path.suffix == ".safetensors" else state_in(read_checkpoint(path), path)


def _check(config: EmbeddingConfig, report: dict[str, Any]) -> None:
    """Refuse weights that the network would have had to make up; heads of other tasks may be left over."""
    missing = sorted(key for key in report["missing_keys"] if not key.endswith(_TRAINING_ONLY))
    wrong = sorted(str(key) for key in report["mismatched_keys"])
    if missing or wrong:
        raise UserError(
            f"{source(config)}: weights: missing keys: {missing or 'none'}; of another shape: {wrong or 'none'}; "
            "give the weights of this model, or another version of transformers"
        )
