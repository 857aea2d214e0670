"""Batches of metric learning: N identities with M segments each, a function of seed and epoch alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.training.randomness import derived_seed


def identity_batches(
    labels: Sequence[int], clips: Sequence[int], identities: int, segments: int, seed: int, epoch: int
) -> list[Tensor]:
    """The batches of an epoch: clips (N, M) int64, a row an identity, no identity twice in a batch.

    The clips of an identity are shuffled and cut into rows of M; what is left over waits for another epoch. The rows
    with the same number of all identities, in random order, are cut into batches of N; the last is completed with
    the first of the same order, so that batches have one size as far as there are identities.

    Args:
        labels: (n,) identity of each clip of the dataset.
        clips: those that are trained on.
        identities: N at most.
        segments: M.
        seed, epoch: what the order depends on.

    Raises:
        ValueError: fewer than two identities have M clips.
    """
    generator = torch.Generator().manual_seed(derived_seed(seed, 2, epoch))
    members: dict[int, list[int]] = {}
    for clip in clips:
        members.setdefault(int(labels[clip]), []).append(int(clip))
    rounds: list[list[list[int]]] = []
    for label in sorted(members):
        order = torch.randperm(len(members[label]), generator=generator).tolist()
        shuffled = [members[label][i] for i in order]
        for number in range(len(shuffled) // segments):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(shuffled[number * segments : (number + 1) * segments])
    batches = []
    for rows in rounds:
        # One identity alone has nobody to be told from.
        if len(rows) < 2:
            continue
        order = torch.randperm(len(rows), generator=generator)
        size = min(identities, len(rows))
        order = torch.cat([order, order[: -len(rows) % size]]).view(-1, size)
        batches += [torch.tensor(rows)[chosen] for chosen in order]
    if not batches:
        raise ValueError(f"fewer than two identities have {segments} clips each to be trained on")
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def random_segments(frames: Sequence[Tensor], clips: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random segment of `size` frames of each clip: (N * M, size, F) of clips (N, M).

    Args:
        frames: (T, F) of each clip of the dataset, T >= size.
    """
    chosen = clips.flatten().tolist()
    draw = torch.rand(len(chosen), generator=generator).tolist()
    starts = [int(u * (len(frames[clip]) - size + 1)) for clip, u in zip(chosen, draw, strict=True)]
    return torch.stack([frames[clip][start : start + size] for clip, start in zip(chosen, starts, strict=True)])
