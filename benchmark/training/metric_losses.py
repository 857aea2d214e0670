"""Losses of metric learning, of embeddings x (N, M, D) of N identities with M segments each.

Triplet and prototypical losses in the forms of Hu et al. (IJCNN 2021) and of Chung et al.'s voxceleb_trainer
(Interspeech 2020); GE2E is Wan et al. (ICASSP 2018), the softmax form.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Where the cosine's scale and offset begin.
_SCALE, _OFFSET = 10.0, -5.0
_LEAST_SCALE = _LEAST_COSINE = 1e-6


class Cosine(nn.Module):
    """Cosines to logits: scale x cosine + offset, both learned, the scale positive."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(_SCALE))
        self.offset = nn.Parameter(torch.tensor(_OFFSET))

    def forward(self, cosine: Tensor) -> Tensor:
        return self.scale.clamp(min=_LEAST_SCALE) * cosine + self.offset


class Prototypical(nn.Module):
    """The last segment of an identity asks, the mean of the others is its prototype; logits are -|query - prototype|^2."""

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross-entropy over the N identities."""
        query, prototype = x[:, -1], x[:, :-1].mean(dim=1)
        distance = (query[:, None] - prototype[None]).square().sum(dim=-1)
        return functional.cross_entropy(-distance, _identities(x))


class AngularPrototypical(nn.Module):
    """As `Prototypical`, with logits scale x cosine + offset."""

    def __init__(self) -> None:
        super().__init__()
        self.cosine = Cosine()

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross-entropy over the N identities."""
        query = functional.normalize(x[:, -1], dim=-1)
        prototype = functional.normalize(x[:, :-1].mean(dim=1), dim=-1)
        return functional.cross_entropy(self.cosine(query @ prototype.T), _identities(x))


class GE2E(nn.Module):
    """Every segment asks; its own identity's centroid leaves it out. Logits as of `AngularPrototypical`."""

    def __init__(self) -> None:
        super().__init__()
        self.cosine = Cosine()

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean cross-entropy over the N x M segments."""
        identities, segments, _ = x.shape
        query = functional.normalize(x, dim=-1)
        total = x.sum(dim=1)
        centroid = functional.normalize(total, dim=-1)
        without = functional.normalize(total[:, None] - x, dim=-1)
        own = torch.eye(identities, dtype=torch.bool, device=x.device)[:, None]
        cosine = torch.where(own, (query * without).sum(dim=-1)[..., None], query @ centroid.T)
        logits = self.cosine(cosine.clamp(min=_LEAST_COSINE)).flatten(0, 1)
        return functional.cross_entropy(logits, _identities(x).repeat_interleave(segments))


class Triplet(nn.Module):
    """Hinge of |anchor - positive| - |anchor - negative| + margin over unit vectors.

    The first segment of an identity is the anchor, each other one a positive; the negative is such a segment of another
    identity: with probability `hard` one of the `rank` nearest to the anchor, else any.

    Args:
        margin: in units of the distance.
        squared: whether distances are squared, as voxceleb_trainer's are.
        hard, rank: which negatives are taken.
    """

    def __init__(self, margin: float = 0.1, squared: bool = False, hard: float = 0.5, rank: int = 10):
        super().__init__()
        self.margin, self.squared, self.hard, self.rank = margin, squared, hard, rank

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean over the N x (M - 1) triplets; `generator` chooses the negatives."""
        x = functional.normalize(x, dim=-1)
        anchor = x[:, 0]
        losses = []
        for m in range(1, x.shape[1]):
            distance = self._distance(anchor[:, None] - x[None, :, m])
            negative = self._negatives(distance.detach(), generator)
            losses.append(distance.diagonal() - distance.gather(1, negative[:, None])[:, 0] + self.margin)
        return functional.relu(torch.stack(losses)).mean()

    def _distance(self, difference: Tensor) -> Tensor:
        squared = difference.square().sum(dim=-1)
        # The root has no slope at zero.
        return squared if self.squared else squared.clamp(min=1e-12).sqrt()

    def _negatives(self, distance: Tensor, generator: torch.Generator | None) -> Tensor:
        """Which identity's segment is the negative of each anchor, (N,), by distances (N, N)."""
        count = len(distance)
        far = distance.clone()
        far.fill_diagonal_(torch.inf)
        order = far.argsort(dim=1, stable=True)[:, : count - 1]
        draw = torch.rand(2, count, generator=generator)
        reach = torch.where(draw[0] < self.hard, min(self.rank, count - 1), count - 1)
        return order.gather(1, (draw[1] * reach).long().to(order.device)[:, None])[:, 0]


def make_loss(name: str, margin: float) -> nn.Module:
    """The loss of a name: `triplet` (with its margin), `prototypical`, `angular-prototypical`, `ge2e`."""
    if name == "triplet":
        return Triplet(margin)
    return {"prototypical": Prototypical, "angular-prototypical": AngularPrototypical, "ge2e": GE2E}[name]()


def _identities(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device)
