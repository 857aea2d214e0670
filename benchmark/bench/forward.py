"""The bare forward pass of an embedding: its network on the batches that the embedding makes, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmark.embeddings.base import Embedding


def bare_forward(embedding: Embedding, waveforms: Sequence[np.ndarray]) -> Callable[[], None] | None:
    """The network's part of `embedding.embed(waveforms)`, repeatable, on batches that are ready.

    What counts as the network is the innermost module that holds all the weights and is called as such: front ends, which
    hold none, stay outside. What the network does not do on whole batches (shared first layers, pooling) is not in it.

    Returns:
        What runs it once; None for an embedding without a network.
    """
    root = getattr(embedding, "network", None)
    if not isinstance(root, nn.Module):
        return None
    calls: dict[nn.Module, list[tuple[Any, ...]]] = {}
    hooks = []
    for module in _chain(root):
        calls[module] = []
        hooks.append(module.register_forward_pre_hook(lambda own, inputs: calls[own].append(inputs)))
    try:
        embedding.embed(waveforms)
    finally:
        for hook in hooks:
            hook.remove()
    heard = [module for module, inputs in calls.items() if inputs]
    if not heard:
        return None
    net = heard[-1]

    def run() -> None:
        with torch.inference_mode():
            for inputs in calls[net]:
                net(*inputs)

    return run


def _chain(root: nn.Module) -> list[nn.Module]:
    """`root`, and from each module the one child that has all of its weights, as long as there is one."""
    chain = [root]
    while True:
        total = sum(weight.numel() for weight in chain[-1].parameters())
        inner = [child for child in chain[-1].children() if sum(w.numel() for w in child.parameters()) == total]
        if len(inner) != 1 or not total:
            return chain
        chain.append(inner[0])
