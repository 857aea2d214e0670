"""From a separator's YAML to the module: its network with its front end, with random weights."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.errors import UserError
from benchmark.separation.base import Separator
from benchmark.separation.clustering import ClusteringSeparator
from benchmark.separation.masking import (
    DeepConvSepSeparator,
    MaskInferenceSeparator,
    OpenUnmixSeparator,
    UNetSeparator,
)
from benchmark.separation.nets.deep_clustering import DeepClustering, MaskInference
from benchmark.separation.nets.deepconvsep import DeepConvSep
from benchmark.separation.nets.dense_unet import DenseUNet
from benchmark.separation.nets.dilated_cnn import DilatedCnn, TwoWayLstm
from benchmark.separation.nets.gcrn import Gcrn
from benchmark.separation.nets.open_unmix import OpenUnmix
from benchmark.separation.nets.unet import UNet
from benchmark.separation.nets.wave_unet import WaveUNet
from benchmark.separation.stft import Stft
from benchmark.separation.waveform import (
    ComplexMaskSeparator,
    ConvTasNetSeparator,
    GcrnSeparator,
    HDemucsSeparator,
    WaveUNetSeparator,
)

ORACLE = "oracle"


def build_separator(config: SeparatorConfig, sources: Sequence[str], fixed_order: bool) -> Separator:
    """Build a separator for a task's sources.

    Args:
        config: its YAML.
        sources: names of the sources, in the task's order.
        fixed_order: whether sources differ in kind (voice and accompaniment) rather than by chance (two speakers).

    Raises:
        UserError: an unknown family, or an argument that it does not have.
    """
    where = f"separators/{config.name}.yaml"
    if config.family not in FAMILIES:
        raise UserError(f"{where}: family: {config.family!r} is unknown; known: {', '.join((ORACLE, *FAMILIES))}")
    if config.family in _SPECTRAL and config.stft is None:
        raise UserError(f"{where}: stft: missing; {config.family} needs it, such as {{size: 256, hop: 64}}")
    try:
        return FAMILIES[config.family](config, tuple(sources), fixed_order, dict(config.args))
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: args: {error}") from None


def make_stft(config: SeparatorConfig) -> Stft:
    """The spectra of a separator's YAML, which must have them."""
    assert config.stft is not None
    return Stft(config.stft.size, config.stft.hop, config.stft.window)


def _deep_clustering(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    weights = args.pop("weights", "active")
    net = DeepClustering(stft.bins, **args)
    return ClusteringSeparator(sources, config.sample_rate, net, stft, "affinity", weights)


def _dilated_cnn(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    return _attracted(config, sources, DilatedCnn(**args))


def _two_way_lstm(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    return _attracted(config, sources, TwoWayLstm(make_stft(config).bins, **args))


def _attracted(config: SeparatorConfig, sources, net: nn.Module) -> Separator:
    return ClusteringSeparator(sources, config.sample_rate, net, make_stft(config), "attractor", "active")


def _mask_inference(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    net = MaskInference(stft.bins, len(sources), **args)
    return MaskInferenceSeparator(sources, config.sample_rate, net, stft, fixed_order)


def _deepconvsep(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    hop = args.pop("hop", 10)
    # The roles that a source has in the loss, where the task has such a source.
    roles = {role: args.pop(role, role) for role in ("voice", "other")}
    voice, other = (name if name in sources else None for name in (roles["voice"], roles["other"]))
    voice = voice or ("vocals" if "vocals" in sources else None)
    return DeepConvSepSeparator(
        sources, config.sample_rate, DeepConvSep(len(sources), stft.bins, **args), stft, voice, other, hop
    )


def _unet(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    nets = [UNet(**args) for _ in sources]
    return UNetSeparator(sources, config.sample_rate, nets, make_stft(config))


def _open_unmix(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    wiener, bandwidth = args.pop("wiener", 1), args.pop("bandwidth_hz", 16000)
    used = min(stft.bins, int(bandwidth / (config.sample_rate / stft.size)) + 1)
    nets = [OpenUnmix(stft.bins, used, config.channels, **args) for _ in sources]
    return OpenUnmixSeparator(sources, config.sample_rate, nets, stft, config.channels, wiener)


def _wave_unet(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    segment = args.pop("segment", 16384)
    return WaveUNetSeparator(sources, config.sample_rate, WaveUNet(len(sources), config.channels, **args), segment)


def _conv_tasnet(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    from torchaudio.models import ConvTasNet

    return ConvTasNetSeparator(sources, config.sample_rate, ConvTasNet(len(sources), **args), fixed_order)


def _hdemucs(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    from torchaudio.models import HDemucs

    net = HDemucs(list(sources), audio_channels=config.channels, **args)
    return HDemucsSeparator(sources, config.sample_rate, net, config.channels)


def _complex_mask(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    target = args.pop("target", "cirm")
    if target not in ("cirm", "mapping", "magnitude"):
        raise ValueError(f"target is {target!r}; it must be cirm, mapping or magnitude")
    parts = 1 if target == "magnitude" else 2
    net = DenseUNet(parts, parts * len(sources), stft.bins, **args)
    return ComplexMaskSeparator(sources, config.sample_rate, net, stft, target, fixed_order)


def _gcrn(config: SeparatorConfig, sources, fixed_order: bool, args: dict[str, Any]) -> Separator:
    stft = make_stft(config)
    level = args.pop("level", 1.0)
    net = Gcrn(len(sources), bins=stft.bins, **args)
    return GcrnSeparator(sources, config.sample_rate, net, stft, fixed_order, level)


FAMILIES: dict[str, Callable[..., Separator]] = {
    "complex_mask": _complex_mask,
    "conv_tasnet": _conv_tasnet,
    "deep_clustering": _deep_clustering,
    "deepconvsep": _deepconvsep,
    "dilated_cnn": _dilated_cnn,
    "gcrn": _gcrn,
    "hdemucs": _hdemucs,
    "mask_inference": _mask_inference,
    "open_unmix": _open_unmix,
    "two_way_lstm": _two_way_lstm,
    "unet": _unet,
    "wave_unet": _wave_unet,
}
_SPECTRAL = set(FAMILIES) - {"conv_tasnet", "hdemucs", "wave_unet"}
