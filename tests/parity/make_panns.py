"""Run the authors' PANNs on seeded weights and audio, and store what they give.

Usage: python -m tests.parity.make_panns PANNS [MODEL ...]

PANNS is a checkout of qiuqiangkong/audioset_tagging_cnn (d2f4b8c was used). Needs torchlibrosa (0.1.0 was used).
"""

import sys
from pathlib import Path

import numpy as np
import torch

from tests.parity.checkpoints import noisy_waveform
from tests.parity.torch_weights import layout, seeded_state

# Shorter than the network's minimum, an odd length, one whose frames are no multiple of the stride.
LENGTHS_S = (0.2, 1.0001, 2.62)

# The authors' class, then sample rate, window, hop, highest mel edge.
REFERENCES = {
    "cnn14": ("Cnn14", 32_000, 1024, 320, 14_000),
    "cnn14-16k": ("Cnn14_16k", 16_000, 512, 160, 8_000),
    "cnn14-8k": ("Cnn14_8k", 8_000, 256, 80, 4_000),
    "cnn10": ("Cnn10", 32_000, 1024, 320, 14_000),
    "cnn6": ("Cnn6", 32_000, 1024, 320, 14_000),
    "resnet38": ("ResNet38", 32_000, 1024, 320, 14_000),
    "mobilenetv2": ("MobileNetV2", 32_000, 1024, 320, 14_000),
    "wavegram-logmel-cnn14": ("Wavegram_Logmel_Cnn14", 32_000, 1024, 320, 14_000),
}
_LAST_MAPS = {"cnn10": "conv_block4", "cnn6": "conv_block4", "resnet38": "conv_block_after1", "mobilenetv2": "features"}
FRONT_END = ("spectrogram_extractor.", "logmel_extractor.")
GAIN = 1.4


def clips(sample_rate: int) -> list[np.ndarray]:
    """The test clips, (samples,) each."""
    return [noisy_waveform(round(seconds * sample_rate), sample_rate) for seconds in LENGTHS_S]


def panns_state(of: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Seeded weights; the first normalisation expects decibels."""
    state = seeded_state({key: shape for key, shape in of.items() if not key.startswith(FRONT_END)}, GAIN)
    state["bn0.running_mean"] -= 40.0
    state["bn0.running_var"] *= 400.0
    return state


def main(path: str, *models: str) -> None:
    sys.path[:0] = [str(Path(path) / "pytorch"), str(Path(path) / "utils")]
    import models as reference

    torch.set_num_threads(1)
    for name in models or REFERENCES:
        kind, sample_rate, window, hop, f_max = REFERENCES[name]
        model = getattr(reference, kind)(sample_rate, window, hop, 64, 50, f_max, 527).eval()
        outputs = {"layout": layout(model.state_dict())}
        state = panns_state({key: tuple(value.shape) for key, value in model.state_dict().items()})
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected and all(key.startswith(FRONT_END) for key in missing)
        maps = []
        getattr(model, _LAST_MAPS.get(name, "conv_block6")).register_forward_hook(
            lambda module, given, output, maps=maps: maps.append(output.mean(dim=3))
        )
        least = hop * ((16 if name in ("cnn10", "cnn6") else 32) - 1)
        for i, clip in enumerate(clips(sample_rate)):
            clip = np.pad(clip, (0, max(0, least - len(clip))))
            if name.startswith("wavegram"):
                clip = np.pad(clip, (0, -len(clip) % 640))
            with torch.no_grad():
                given = model(torch.from_numpy(clip)[None])
            outputs[f"embedding-{i}"] = given["embedding"][0].numpy()
            outputs[f"map-{i}"] = maps[-1][0].T.numpy()[:, ::8]
            outputs[f"classes-{i}"] = given["clipwise_output"][0].numpy()[:20]
        np.savez_compressed(Path(__file__).parent / "data" / f"panns-{name}.npz", **outputs)
        for key, values in outputs.items():
            print(name, key, values.shape, "" if key == "layout" else (float(values.mean()), float(values.std())))


if __name__ == "__main__":
    main(*sys.argv[1:])
