"""BEATs' layers for frozen use on a processor: the same function, with fewer passes over memory."""

import torch
from torch import Tensor, nn

from benchmark.kernels.attention import Gate, gated_attention
from benchmark.kernels.between import add_gelu, add_normalised
from benchmark.kernels.lanes import LANES
from benchmark.models.beats import BEATs, Layer


def prepare(net: BEATs) -> BEATs:
    """Let fast layers and a fast positional convolution take over, in place; weights must not change any more."""
    net.position.prepare()
    if all(layer.widen.out_features % LANES == 0 for layer in net.layers):
        net.layers = nn.ModuleList(FastLayer(layer) for layer in net.layers)
        net.prepared = True
    return net


class FastLayer(nn.Module):
    """A layer whose weights do not change any more.

    The bias of keys is left out, as it adds the same to all scores of a query; that of values joins that of the layer
    behind, as the weights of what is heard sum to 1.

    Args:
        layer: whose weights it shares.
    """

    def __init__(self, layer: Layer):
        super().__init__()
        self.layer = layer
        query, _, value = layer.qkv.bias.detach().chunk(3)
        out = layer.out
        self.register_buffer("query_bias", query.view(layer.heads, -1).clone(), persistent=False)
        behind = (
            ("attended", layer.attention_norm, out.bias + out.weight @ value),
            ("output", layer.output_norm, layer.narrow.bias),
        )
        for name, norm, shift in behind:
            self.register_buffer(name, torch.stack([shift, norm.weight, norm.bias]).detach(), persistent=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Tokens (B, N, dim) with a bias of pairs (H, N, N), or of distances (H, 2 N - 1) where `attention.pays`."""
        layer = self.layer
        if bias.dim() == 3:
            return layer(x, bias)
        gate = Gate(layer.gate.weight.detach(), layer.gate.bias.detach(), layer.gate_scale.detach().view(-1))
        heard = gated_attention(x @ layer.qkv.weight.T, self.query_bias, gate, bias)
        x = x.flatten(0, 1)
        y = torch.mm(heard.flatten(0, 1), layer.out.weight.T)
        add_normalised(y, x, layer.alpha, self.attended, layer.attention_norm.eps)
        hidden = add_gelu(torch.mm(y, layer.widen.weight.T), layer.widen.bias.detach())
        z = torch.mm(hidden, layer.narrow.weight.T)
        return add_normalised(z, y, layer.alpha, self.output, layer.output_norm.eps).view(heard.shape)
