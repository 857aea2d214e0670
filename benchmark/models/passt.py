"""PaSST, the patchout audio transformer of Koutini et al. (Interspeech 2022; arXiv 2110.05069).

A vision transformer with two summary tokens over overlapping 16 x 16 patches of a mel spectrum. Names of modules are
those of the authors' checkpoints. Patchout belongs to training and is not here.
"""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

BANDS = 128
PATCH = 16


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the authors' architectures.

    Attributes:
        stride: of the patches, in frames and in bands.
        frames: of the spectrum that the positions in time were made for.
        depth: number of blocks.
        classes: outputs of the head.
        hop: samples at 32 kHz between frames.
        window_s: the longest audio in seconds.
        scene_hop_s: how far windows lie apart in longer audio.
    """

    stride: int = 10
    frames: int = 998
    depth: int = 12
    classes: int = 527
    hop: int = 320
    window_s: float = 10.0
    scene_hop_s: float = 2.5


VARIANTS = {
    "s": Variant(),
    "s-stride12": Variant(stride=12),
    "s-stride14": Variant(stride=14),
    "s-stride16": Variant(stride=16),
    "s-stfthop100": Variant(frames=3200, hop=100),
    "s-stfthop160": Variant(frames=2000, hop=160),
    "s-20s": Variant(frames=2000, window_s=20.0, scene_hop_s=5.0),
    "s-30s": Variant(frames=3000, window_s=30.0, scene_hop_s=10.0),
    "l": Variant(depth=7),
    "openmic": Variant(classes=20),
    "fsd50k": Variant(classes=200),
    "fsd50k-stride16": Variant(stride=16, classes=200),
}


class Attention(nn.Module):
    """Multi-head self-attention with one matrix for query, key and value."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor, asked: int) -> Tensor:
        """What the first `asked` tokens find in all tokens (B, N, dim)."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = scaled_dot_product_attention(query[:, :, :asked], key, value)
        return self.proj(found.transpose(1, 2).flatten(2))


class Dense(nn.Module):
    """Two dense layers with GELU between."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and dense layers, each normalised before and added to its input."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), Dense(dim, 4 * dim)

    def forward(self, x: Tensor, asked: int) -> Tensor:
        """The first `asked` of the tokens (B, N, dim)."""
        x = x[:, :asked] + self.attn(self.norm1(x), asked)
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """Overlapping patches of spectra (B, 1, 128, T) to (B, dim, rows, columns)."""

    def __init__(self, dim: int, stride: int):
        super().__init__()
        self.proj = nn.Conv2d(1, dim, PATCH, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


class PaSST(nn.Module):
    """Scaled log-mel spectra (B, 128, T), T >= 16, to features (B, dim), the mean of the two summary tokens.

    Frames beyond those that the positions were made for are left out.

    Args:
        variant: which architecture.
        dim, heads: of the transformer.
    """

    def __init__(self, variant: Variant, dim: int = 768, heads: int = 12):
        super().__init__()
        self.dim = dim
        rows, columns = BANDS // variant.stride, variant.frames // variant.stride
        rows = min(rows, 1 + (BANDS - PATCH) // variant.stride)
        self.patch_embed = Patches(dim, variant.stride)
        self.cls_token, self.dist_token = (nn.Parameter(torch.zeros(1, 1, dim)) for _ in range(2))
        self.new_pos_embed = nn.Parameter(torch.zeros(1, 2, dim))
        self.freq_new_pos_embed = nn.Parameter(torch.zeros(1, dim, rows, 1))
        self.time_new_pos_embed = nn.Parameter(torch.zeros(1, dim, 1, columns))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(variant.depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, variant.classes))
        # The head of the distillation token is in the checkpoints; the authors do not use it after training.
        self.head_dist = nn.Linear(dim, variant.classes)

    def late(self) -> list[nn.Module]:
        """The second half of the blocks, and the normalisation behind them."""
        return [*self.blocks[len(self.blocks) // 2 :], self.norm]

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.stem(x))

    def stem(self, x: Tensor) -> Tensor:
        """Spectra (B, 128, T) to tokens (B, N, dim) behind the first half of the blocks."""
        x = self.patch_embed(x.to(self.cls_token.dtype)[:, None])
        x = x[..., : self.time_new_pos_embed.shape[-1]]
        x = x + self.time_new_pos_embed[..., : x.shape[-1]] + self.freq_new_pos_embed
        summary = torch.cat([self.cls_token, self.dist_token], dim=1) + self.new_pos_embed
        x = torch.cat([summary.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], dim=1)
        for block in self.blocks[: len(self.blocks) // 2]:
            x = block(x, x.shape[1])
        return x

    def rest(self, x: Tensor) -> Tensor:
        """Those tokens to features (B, dim)."""
        for block in self.blocks[len(self.blocks) // 2 : -1]:
            x = block(x, x.shape[1])
        # Nothing but the summary is read from the last block.
        return self.norm(self.blocks[-1](x, 2)).mean(dim=1)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (B, classes) from features (B, dim)."""
        return self.head(features)
