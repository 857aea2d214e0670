"""Outputs of a public PyTorch port of AclNet for seeded weights, stored in data/aclnet.npz.

    python -m tests.parity.make_aclnet PATH

PATH is a checkout of HwanWoongLee/Pytorch_AclNet_AudioClassification. Its dropout, which is active in evaluation too,
is switched off.
"""

import sys
from pathlib import Path

import numpy as np

from tests.parity.seeded import seeded_array, seeded_waveform

SAMPLE_RATE = 16000
WINDOW = 20480
# Shorter than a window (the port pads by zeros), one window, and more (the port cuts; ours goes on in windows).
SAMPLES = (9000, 20480, 61440)


def main(path: str) -> None:
    sys.path.insert(0, path)
    import model as port
    import torch

    port.F.dropout = lambda x, *_: x
    net = port.AclNet(num_classes=10).eval()
    state = {key: torch.from_numpy(seeded_array(key, tuple(value.shape))) for key, value in _weights(net)}
    net.load_state_dict(state, strict=False)
    maps = []
    net.HLF.maxpool5.register_forward_hook(lambda module, inputs, output: maps.append(output))
    arrays = {}
    for samples in SAMPLES:
        maps.clear()
        wave = seeded_waveform(samples, SAMPLE_RATE)
        windows = np.pad(wave, (0, -samples % WINDOW)).reshape(-1, 1, WINDOW)
        with torch.no_grad():
            scores = net(torch.from_numpy(windows))
        arrays[f"samples_{samples}"] = maps[0].mean(dim=(2, 3)).numpy()
        arrays[f"scores_{samples}"] = scores.numpy()
    np.savez_compressed(Path(__file__).parent / "data" / "aclnet.npz", **arrays)


def _weights(net):
    return [(key, value) for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")]


if __name__ == "__main__":
    main(sys.argv[1])
