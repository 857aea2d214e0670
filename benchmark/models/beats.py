"""BEATs, the transformer over spectrogram patches of Chen et al. (ICML 2023; arXiv 2212.09058).

The authors' arithmetic, rearranged: query, key and value are one matrix, the weight-normalised positional convolution
is a plain one, the four outputs that make each half of a gate are summed in the weights, and the bias of relative
positions is computed once from its distances.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from benchmark.kernels.attention import pays
from benchmark.models.strict import load_strict

BANDS = 128

# What a checkpoint's configuration must say; no published one says anything else.
_FIXED = {
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "activation_fn": "gelu",
    "conv_bias": False,
}


class RelativeBias(nn.Module):
    """Bias (H, 2 N - 1) of attention for the distances of key and query among N tokens, from 1 - N to N - 1.

    Distances below `buckets` / 4 have a bucket each, for each direction; larger ones share buckets of logarithmic width
    up to `farthest`.
    """

    def __init__(self, heads: int, buckets: int, farthest: int):
        super().__init__()
        self.farthest = farthest
        self.table = nn.Embedding(buckets, heads)

    def forward(self, tokens: int) -> Tensor:
        half = self.table.num_embeddings // 2
        exact = half // 2
        distance = torch.arange(1 - tokens, tokens, device=self.table.weight.device)
        far = torch.log(distance.abs().float() / exact) / math.log(self.farthest / exact) * (half - exact)
        far = exact + far.nan_to_num(neginf=0.0).long()
        bucket = torch.where(distance.abs() < exact, distance.abs(), far.clamp(max=half - 1))
        return self.table(bucket + half * (distance > 0)).T


def of_pairs(bias: Tensor) -> Tensor:
    """Bias (H, N, N) of pairs of queries and keys from that of their distances."""
    tokens = (bias.shape[1] + 1) // 2
    # Row q holds the distances -q ... tokens - 1 - q; with keys side by side the gate's product is ten times as fast.
    return bias.unfold(-1, tokens, 1).flip(1).contiguous()


class Layer(nn.Module):
    """Self-attention with a gated bias of relative positions, then two dense layers; normalised after each sum.

    Args:
        dim, hidden, heads: of the layer.
        alpha: factor of the skipped signal (DeepNorm, Wang et al. 2022): (2 * layers) ** (1 / 4).
    """

    def __init__(self, dim: int, hidden: int, heads: int, alpha: float):
        super().__init__()
        self.heads, self.alpha = heads, alpha
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.gate, self.gate_scale = nn.Linear(dim // heads, 2), nn.Parameter(torch.ones(1, heads, 1, 1))
        self.attention_norm = nn.LayerNorm(dim)
        self.widen, self.narrow = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.output_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Tokens (B, N, dim) with a bias of pairs of them (H, N, N)."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        keep, reset = torch.sigmoid(self.gate(query)).chunk(2, dim=-1)
        gate = keep * (reset * self.gate_scale - 1.0) + 2.0
        attended = scaled_dot_product_attention(query, key, value, attn_mask=gate * bias)
        x = self._normed(self.attention_norm, x, self.out(attended.transpose(1, 2).flatten(2)))
        return self._normed(self.output_norm, x, self.narrow(gelu(self.widen(x))))

    def _normed(self, norm: nn.LayerNorm, skipped: Tensor, x: Tensor) -> Tensor:
        x = torch.add(x, skipped, alpha=self.alpha)
        return layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


class PositionalConvolution(nn.Conv1d):
    """The wide grouped convolution over tokens (B, dim, N) that tells them where they are; as many tokens come out.

    Once `prepare` was called, sequences of middle length go through a Fourier transform, at a quarter of the time.
    """

    _N_FFT = 640
    _SHORT = 128

    def __init__(self, dim: int, reach: int, groups: int):
        super().__init__(dim, dim, reach, padding=reach // 2, groups=groups)
        self.register_buffer("spectrum", None, persistent=False)

    def prepare(self) -> None:
        """Transform the kernel, which must not change any more; for frozen use in float32 on a processor."""
        spectrum = torch.fft.rfft(self.weight.detach(), n=self._N_FFT).conj()
        # (frequencies, groups, inputs, outputs)
        self.spectrum = spectrum.unflatten(0, (self.groups, -1)).permute(3, 0, 2, 1).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.shape[2]
        reach = self.kernel_size[0]
        if self.spectrum is None or not self._SHORT < tokens <= self._N_FFT - reach + 1:
            # An even kernel gives one token too many.
            return super().forward(x)[..., :tokens]
        waves = torch.fft.rfft(x.transpose(1, 2), n=self._N_FFT, dim=1).unflatten(2, (self.groups, -1))
        # The batch as rows: in front it would make copies of the spectrum, which is large.
        products = (waves.permute(1, 2, 0, 3) @ self.spectrum).permute(2, 0, 1, 3)
        y = torch.fft.irfft(products.flatten(2), n=self._N_FFT, dim=1)
        return (y.roll(reach // 2, dims=1)[:, :tokens] + self.bias).transpose(1, 2)


class BEATs(nn.Module):
    """Normalised filter bank features (B, T, 128) to tokens (B, 8 * (T // 16), dim), band by band within a time step.

    Args:
        layers, dim, hidden, heads: of the transformer.
        patch_dim: size of a patch before it is widened to `dim`.
        patch: side of a patch, in frames and in bands.
        reach, groups: width and groups of the positional convolution.
        buckets, farthest: of the relative positions.
        classes: outputs of the classifier of a fine-tuned checkpoint; None: it has none.
    """

    def __init__(
        self,
        layers: int = 12,
        dim: int = 768,
        hidden: int = 3072,
        heads: int = 12,
        patch_dim: int = 512,
        patch: int = 16,
        reach: int = 128,
        groups: int = 16,
        buckets: int = 320,
        farthest: int = 800,
        classes: int | None = None,
    ):
        super().__init__()
        self.dim, self.patch, self.bands = dim, patch, BANDS // patch
        self.patches = nn.Conv2d(1, patch_dim, patch, stride=patch, bias=False)
        self.patch_norm = nn.LayerNorm(patch_dim)
        self.projection = nn.Linear(patch_dim, dim) if patch_dim != dim else nn.Identity()
        self.position = PositionalConvolution(dim, reach, groups)
        self.norm = nn.LayerNorm(dim)
        self.bias = RelativeBias(heads, buckets, farthest)
        self.layers = nn.ModuleList(Layer(dim, hidden, heads, (2 * layers) ** 0.25) for _ in range(layers))
        self.classifier = nn.Linear(dim, classes) if classes is not None else None
        # Whether layers take the bias of distances: those of `benchmark.models.beats_fast`.
        self.prepared = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "BEATs":
        """The network of a checkpoint's `cfg`.

        Raises:
            ValueError: it describes another architecture, or lacks a field; the message names the field.
        """
        for field, value in _FIXED.items():
            if config.get(field, value) != value:
                raise ValueError(f"cfg: {field} is {config[field]!r}; only {value!r} is known")
        try:
            return cls(
                layers=config["encoder_layers"],
                dim=config["encoder_embed_dim"],
                hidden=config["encoder_ffn_embed_dim"],
                heads=config["encoder_attention_heads"],
                patch_dim=config["embed_dim"],
                patch=config["input_patch_size"],
                reach=config["conv_pos"],
                groups=config["conv_pos_groups"],
                buckets=config["num_buckets"],
                farthest=config["max_distance"],
                classes=config["predictor_class"] if config["finetuned_model"] else None,
            )
        except KeyError as error:
            raise ValueError(f"cfg: {error.args[0]} is missing") from None

    def late(self) -> list[nn.Module]:
        """The second half of the layers."""
        return list(self.layers[len(self.layers) // 2 :])

    def forward(self, x: Tensor) -> Tensor:
        return self._through(self._tokens(x), self.layers)

    def stem(self, x: Tensor) -> Tensor:
        """Features to tokens (B, N, dim) behind the first half of the layers."""
        return self._through(self._tokens(x), self.layers[: len(self.layers) // 2])

    def _tokens(self, x: Tensor) -> Tensor:
        x = self.patches(x.to(self.norm.weight.dtype)[:, None])
        x = self.patch_norm(x.permute(0, 2, 3, 1).flatten(1, 2))
        x = self.projection(x)
        return self.norm(x + gelu(self.position(x.transpose(1, 2))).transpose(1, 2))

    def rest(self, x: Tensor) -> Tensor:
        """Those tokens to the last ones."""
        return self._through(x, self.layers[len(self.layers) // 2 :])

    def _through(self, x: Tensor, layers: nn.ModuleList) -> Tensor:
        bias = self.bias(x.shape[1])
        if not (self.prepared and pays(x, len(bias))):
            bias = of_pairs(bias)
        for layer in layers:
            x = layer(x, bias)
        return x

    def classify(self, tokens: Tensor) -> Tensor:
        """Probabilities (B, classes) from tokens (B, N, dim), for fine-tuned checkpoints.

        Raises:
            ValueError: the checkpoint is not fine-tuned.
        """
        if self.classifier is None:
            raise ValueError("a checkpoint that is not fine-tuned has no classes")
        return torch.sigmoid(self.classifier(tokens).mean(dim=1))


def load_beats(net: BEATs, state: Mapping[str, Tensor]) -> None:
    """Fill a network from the authors' state dict.

    Raises:
        ValueError: a missing or unexpected key, a wrong shape, or layers with different tables of relative positions.
    """
    rest = dict(state)

    shapes = {key: value.shape for key, value in net.state_dict().items()}

    def take(key: str, like: str | None = None) -> Tensor:
        if key not in rest:
            raise ValueError(f"missing key {key}")
        if like is not None and rest[key].shape != shapes[like]:
            raise ValueError(f"key {key}: shape {tuple(rest[key].shape)}, expected {tuple(shapes[like])}")
        return rest.pop(key)

    own: dict[str, Tensor] = {"patches.weight": take("patch_embedding.weight")}
    pairs = {"patch_norm": "layer_norm", "norm": "encoder.layer_norm"}
    if isinstance(net.projection, nn.Linear):
        pairs["projection"] = "post_extract_proj"
    if net.classifier is not None:
        pairs["classifier"] = "predictor"
    direction = take("encoder.pos_conv.0.weight_v")
    strength = take("encoder.pos_conv.0.weight_g")
    own["position.weight"] = direction * (strength / direction.norm(dim=(0, 1), keepdim=True))
    own["position.bias"] = take("encoder.pos_conv.0.bias")
    tables = [f"encoder.layers.{i}.self_attn.relative_attention_bias.weight" for i in range(len(net.layers))]
    own["bias.table.weight"] = state.get(tables[0], torch.empty(0))
    for key in tables:
        if not torch.equal(take(key), own["bias.table.weight"]):
            raise ValueError(f"key {key}: differs from that of layer 0, which all layers share")
    for i in range(len(net.layers)):
        theirs, ours = f"encoder.layers.{i}", f"layers.{i}"
        pairs |= {
            f"{ours}.out": f"{theirs}.self_attn.out_proj",
            f"{ours}.attention_norm": f"{theirs}.self_attn_layer_norm",
            f"{ours}.widen": f"{theirs}.fc1",
            f"{ours}.narrow": f"{theirs}.fc2",
            f"{ours}.output_norm": f"{theirs}.final_layer_norm",
        }
        own[f"{ours}.gate_scale"] = take(f"{theirs}.self_attn.grep_a")
        for kind in ("weight", "bias"):
            own[f"{ours}.qkv.{kind}"] = torch.cat([take(f"{theirs}.self_attn.{part}_proj.{kind}") for part in "qkv"])
            own[f"{ours}.gate.{kind}"] = take(f"{theirs}.self_attn.grep_linear.{kind}").unflatten(0, (2, 4)).sum(1)
    for ours, theirs in pairs.items():
        own |= {f"{ours}.{kind}": take(f"{theirs}.{kind}", f"{ours}.{kind}") for kind in ("weight", "bias")}
    if rest:
        raise ValueError(f"unexpected keys: {sorted(rest)}")
    load_strict(net, own)
