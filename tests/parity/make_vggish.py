"""Run torchvggish on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_vggish TORCHVGGISH

TORCHVGGISH is a checkout of harritaylor/torchvggish. Needs resampy and soundfile.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from tests.parity.checkpoints import noisy_waveform, vggish_arrays, vggish_pca_arrays

# Shorter than an example (torchvggish gives none unless it is completed), one with a rest, one of three examples.
LENGTHS = (4_000, 20_001, 15_600 + 2 * 15_360)


def main(path: str) -> None:
    sys.path.insert(0, path)
    from torchvggish import vggish, vggish_input

    net = vggish.VGGish(urls={}, device="cpu", pretrained=False, preprocess=False, postprocess=False).eval()
    net.load_state_dict({name: torch.from_numpy(array) for name, array in vggish_arrays().items()})
    postprocessor = vggish.Postprocessor()
    pca = {name: torch.from_numpy(array) for name, array in vggish_pca_arrays().items()}
    postprocessor.load_state_dict({**pca, "pca_means": pca["pca_means"].reshape(-1, 1)})
    outputs = {}
    with torch.inference_mode():
        for i, samples in enumerate(LENGTHS):
            waveform = noisy_waveform(samples, 16_000)
            examples = vggish_input.waveform_to_examples(np.pad(waveform, (0, max(0, 15_600 - samples))), 16_000)
            examples = examples.detach().float()
            rectified = net(examples)
            # The layer without its last activation is TensorFlow's definition.
            net.embeddings = net.embeddings[:5]
            raw = net(examples)
            net.embeddings.append(torch.nn.ReLU())
            outputs[f"relu-{i}"] = rectified.numpy()
            outputs[f"linear-{i}"] = raw.numpy()
            outputs[f"round-{i}"] = postprocessor(raw).reshape(raw.shape).numpy()
            if i == 0:
                outputs["log_mel-0"] = examples[0, 0].numpy()
    np.savez_compressed(Path(__file__).parent / "data" / "vggish.npz", **outputs)
    for name, values in outputs.items():
        print(name, values.shape, float(values.mean()), float(values.std()))


if __name__ == "__main__":
    main(*sys.argv[1:])
