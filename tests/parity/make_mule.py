"""Outputs of a public PyTorch conversion of MULE for seeded weights, stored in data/mule.npz.

    python -m tests.parity.make_mule PATH

PATH is a folder that holds the unpacked wheel mule_torch 0.2.0. Needs torch and librosa.
"""

import sys
from pathlib import Path

import numpy as np

from tests.parity.checkpoints import noisy_waveform
from tests.parity.seeded import seeded_array

SAMPLE_RATE = 16000
# Shorter than a slice of 3 s; one slice and a clamped one; more.
SAMPLES = (24000, 56000, 104000)


def seeded_mule(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter of the network by its key; gains lie around one, so that no residual branch vanishes."""
    return seeded_array(key + ".scale" if key.endswith("gain") else key, shape)


def main(path: str) -> None:
    sys.path.insert(0, path)
    import torch
    from mule_torch import MuleModel

    model = MuleModel().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(seeded_mule(key, tuple(parameter.shape))))
        arrays = {
            f"samples_{n}": model.embed_timeline(torch.from_numpy(noisy_waveform(n, SAMPLE_RATE)))[0].numpy()
            for n in SAMPLES
        }
    np.savez_compressed(Path(__file__).parent / "data" / "mule.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
