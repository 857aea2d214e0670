"""From waveforms to frames through models of the `transformers` library: one way for each kind of model.

Hidden state 0 is what enters the first block, hidden state i what leaves block i. `layer` picks one, the mean of a list
or the mean of all (`mean`), or lays all side by side (`all`); `last` is the model's output, behind its final
normalisation if it has one. The states are read at the blocks themselves, as versions of the library differ in whether
its last hidden state is normalised.
"""

import abc
import math
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.embeddings.hub_models import HubModel
from benchmark.embeddings.spans import Schedule, Steps, Windows

Layer = int | str | list[int] | None

# Waveforms are cut where this many seconds of context can be heard on both sides.
_MARGIN_S = 1.0


class ReadOut(nn.Module, abc.ABC):
    """Waveforms (B, samples) to frames (B, n, dim).

    Args:
        model: with its weights.
        layer: as above; None: what this kind of model is meant to give.
        window_s: how much is heard at once where the model leaves that open.
        hop_s: distance of windows where a window gives one vector; 0: they do not overlap.

    Attributes:
        dim: size of a frame.
        schedule: how clips are divided.
        hop: samples between frames.
        states: how many hidden states lie side by side in a frame.

    Raises:
        ValueError: the model has no such layer.
    """

    dim: int
    schedule: Schedule
    hop: int
    states: int = 1

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__()
        self.net, self.extractor, self.rate = model.net, model.extractor, model.sample_rate
        self.layer = layer
        self.count = 0
        self.blocks: nn.ModuleList | None = None

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """What the library's feature extractor makes of waveforms (B, samples), each for itself."""
        single = [self.extractor(clip, sampling_rate=self.rate, return_tensors="pt") for clip in x.cpu().numpy()]
        together = {name: torch.cat([one[name] for one in single]).to(x.device) for name in single[0]}
        return {name: self._typed(value) if value.is_floating_point() else value for name, value in together.items()}

    def hidden(self, net: nn.Module, **inputs: Any) -> Tensor:
        """The chosen hidden states (B, n, dim) of a model that has several."""
        if self.layer in (None, "last"):
            return net(**inputs).last_hidden_state.float()
        if self.blocks is None:
            states = dict(enumerate(net(**inputs, output_hidden_states=True).hidden_states))
        else:
            states = self._tapped(net, inputs)
        if self.layer == "all":
            self.states = len(states)
            return torch.cat([states[i].float() for i in sorted(states)], dim=-1)
        chosen = list(states) if self.layer == "mean" else _list(self.layer)
        return torch.stack([states[i].float() for i in chosen]).mean(dim=0)

    def _tapped(self, net: nn.Module, inputs: dict[str, Tensor]) -> dict[int, Tensor]:
        """Hidden states by number, as they pass the blocks."""
        states: dict[int, Tensor] = {}

        def enters(module: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            states[0] = given[0] if given else named["hidden_states"]

        def leaves(number: int, output: Tensor | tuple[Tensor, ...]) -> None:
            states[number] = output[0] if isinstance(output, tuple) else output

        hooks = [self.blocks[0].register_forward_pre_hook(enters, with_kwargs=True)]
        for number, block in enumerate(self.blocks, start=1):
            hooks.append(block.register_forward_hook(lambda module, given, out, number=number: leaves(number, out)))
        try:
            net(**inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return states

    def _typed(self, x: Tensor) -> Tensor:
        return x.to(next(self.net.parameters()).dtype)

    def _tap(self, net: nn.Module, count: int) -> None:
        """Find the `count` blocks of `net`, check the layer, and leave out the blocks behind it."""
        self.count = count
        if self.layer in (None, "last"):
            return
        wanted = [count] if self.layer in ("mean", "all") else _list(self.layer)
        if not wanted or not all(0 <= i <= count for i in wanted):
            raise ValueError(f"layer: {self.layer} asked for, the model has hidden states 0 to {count}")
        if self.layer == "all":
            self.states = count + 1
            self.dim *= self.states
        found = _blocks(net, count)
        if found is None:
            raise ValueError(f"layer: {self.layer} asked for, but the blocks of the model are not known here")
        module, name, blocks = found
        self.blocks = blocks[: max(1, *wanted)]
        self.count = len(self.blocks)
        setattr(module, name, self.blocks)

    def late(self) -> list[nn.Module]:
        """The second half of the blocks, which learns behind the freezing point.

        Raises:
            ValueError: they are not known.
        """
        found = _blocks(self.net, self.count)
        if found is None:
            raise ValueError("trainable: the blocks of the model are not known here")
        return list(found[2][self.count // 2 :])


class TensorReadOut(ReadOut):
    """A kind of model that reads a single tensor, so that what goes before the network can be done once for a training."""

    @abc.abstractmethod
    def prepared(self, x: Tensor) -> Tensor:
        """Waveforms (B, samples) as the network reads them."""

    @abc.abstractmethod
    def run(self, x: Tensor) -> Tensor:
        """What `prepared` gives to frames (B, n, dim)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.prepared(x))


class WaveformReadOut(TensorReadOut):
    """wav2vec 2.0 and its relatives: strided convolutions over the waveform, then blocks; a frame every hop."""

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__(model, layer, window_s, hop_s)
        config = model.config
        if getattr(config, "add_adapter", False):
            raise ValueError("model: has an adapter behind its blocks, which changes the hop; not known here")
        self.hop, field = 1, 1
        for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
            field += (kernel - 1) * self.hop
            self.hop *= stride
        self.dim = config.hidden_size
        self.normalise = bool(getattr(model.extractor, "do_normalize", False))
        window = max(1, 1 + (round(window_s * self.rate) - field) // self.hop)
        margin = min(round(_MARGIN_S * self.rate / self.hop), (window - 1) // 4)
        self.schedule = Steps(self.hop, field, window, margin, centre=field / 2)
        self._tap(self.net, config.num_hidden_layers)

    def prepared(self, x: Tensor) -> Tensor:
        return self._typed(x)

    def run(self, x: Tensor) -> Tensor:
        return self.hidden(self.net, input_values=x)


class WhisperReadOut(TensorReadOut):
    """Whisper's encoder: always 30 s, of which the frames within the clip are kept."""

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__(model, layer, window_s, hop_s)
        self.net = model.net.get_encoder()
        self.dim = model.config.d_model
        self.hop = 2 * model.extractor.hop_length
        self.schedule = Steps(self.hop, 1, model.config.max_source_positions)
        self._tap(self.net, model.config.encoder_layers)

    def prepared(self, x: Tensor) -> Tensor:
        return self.features(x)["input_features"]

    def run(self, x: Tensor) -> Tensor:
        return self.hidden(self.net, input_features=x)


class PatchReadOut(TensorReadOut):
    """The audio spectrogram transformer: a pooled vector each 10.24 s, or a layer's patches, mean over frequency."""

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__(model, layer, window_s, hop_s)
        config = model.config
        self.dim = config.hidden_size
        # Kaldi's frames, of 25 ms every 10 ms.
        frame, shift = round(0.025 * self.rate), round(0.010 * self.rate)
        self.rows = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        columns = (config.max_length - config.patch_size) // config.time_stride + 1
        if layer is None:
            self.hop = round(hop_s * self.rate) or config.max_length * shift
            self.schedule = Windows((config.max_length - 1) * shift + frame, self.hop, frame)
        else:
            self.hop = config.time_stride * shift
            field = (config.patch_size - 1) * shift + frame
            self.schedule = Steps(self.hop, field, columns, centre=field / 2)
        self._tap(self.net, config.num_hidden_layers)

    def prepared(self, x: Tensor) -> Tensor:
        return self.features(x)["input_values"]

    def run(self, x: Tensor) -> Tensor:
        if self.layer is None:
            return self.net(input_values=x).pooler_output.float()[:, None]
        patches = self.hidden(self.net, input_values=x)[:, 2:]
        return patches.unflatten(1, (self.rows, -1)).mean(dim=1)


class ClapReadOut(ReadOut):
    """CLAP's audio tower: the projected vector of length 1, or (`last`) the one before projection; one every 10 s."""

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__(model, layer, window_s, hop_s)
        if layer not in (None, "last"):
            raise ValueError(f"layer: {layer} asked for; CLAP's stages differ in size, leave it out or write last")
        self.dim = model.config.projection_dim if layer is None else model.config.hidden_size
        window = model.extractor.nb_max_samples
        self.hop = round(hop_s * self.rate) or window
        self.schedule = Windows(window, self.hop)

    def forward(self, x: Tensor) -> Tensor:
        inputs = self.features(x)
        if self.layer is None:
            return nn.functional.normalize(self.net(**inputs).audio_embeds.float(), dim=-1)[:, None]
        return self.net.audio_model(**inputs).pooler_output.float()[:, None]


class AnyReadOut(ReadOut):
    """Any other model: the mean over all tokens of a layer, one vector a window."""

    def __init__(self, model: HubModel, layer: Layer, window_s: float, hop_s: float):
        super().__init__(model, layer, window_s, hop_s)
        if getattr(model.config, "is_encoder_decoder", False):
            self.net = model.net.get_encoder()
        window = round(window_s * self.rate)
        self.hop = round(hop_s * self.rate) or window
        self.schedule = Windows(window, self.hop, min(window, self.rate))
        try:
            with torch.inference_mode():
                self.dim = self(torch.zeros(1, self.schedule.least)).shape[-1]
        except (AttributeError, IndexError, RuntimeError, TypeError) as error:
            raise ValueError(f"model: gives no such hidden states ({' '.join(str(error).split())[:200]})") from error

    def forward(self, x: Tensor) -> Tensor:
        return self.hidden(self.net, **self.features(x)).flatten(1, -2).mean(dim=1, keepdim=True)


_KINDS: dict[str, type[ReadOut]] = {
    "whisper": WhisperReadOut,
    "audio-spectrogram-transformer": PatchReadOut,
    "clap": ClapReadOut,
}


def read_out(model: HubModel, layer: Layer, window_s: float, hop_s: float) -> ReadOut:
    """The way that suits the kind of a model; arguments as in `ReadOut`.

    Raises:
        ValueError: as in `ReadOut`.
    """
    kind = _KINDS.get(model.kind)
    if kind is None:
        kind = WaveformReadOut if math.prod(getattr(model.config, "conv_stride", None) or [1]) > 1 else AnyReadOut
    return kind(model, layer, window_s, hop_s)


def _blocks(net: nn.Module, count: int) -> tuple[nn.Module, str, nn.ModuleList] | None:
    """Where the `count` blocks of `net` are: the module that has them, under which name, and they themselves."""
    for module in net.modules():
        for name, child in list(module.named_children()):
            if name in ("layers", "layer") and isinstance(child, nn.ModuleList) and len(child) == count:
                return module, name, child
    return None


def _list(layer: Layer) -> list[int]:
    return [layer] if isinstance(layer, int) else list(layer or [])
