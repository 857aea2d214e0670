"""Run the authors' PaSST on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_passt PASST

PASST is the folder that holds the package hear21passt (0.0.26 was used). Needs torchaudio.
"""

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import torch

from tests.parity.checkpoints import noisy_waveform
from tests.parity.torch_weights import layout, seeded_state

RATE = 32_000
# Shorter than the network's minimum of 4801 samples, an odd length, a few seconds.
LENGTHS = (3_000, 40_001, 83_200)
# Of a small network: longer than its window of 10 s.
LONG = 10 * RATE + 11_111
SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3}
FRONT_ENDS = {"s": 320, "s-stfthop100": 100}


def passt_state(of: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Seeded weights with tokens and positions that matter."""
    state = seeded_state(of)
    for key in state:
        if "token" in key or "pos_embed" in key:
            state[key] = (
                0.5 * seeded_state({key: (1, state[key].numel())})[key].view(of[key]) * state[key].numel() ** 0.5
            )
    return state


def main(path: str) -> None:
    sys.path.insert(0, path)
    with contextlib.redirect_stdout(io.StringIO()):
        outputs = run()
    np.savez_compressed(Path(__file__).parent / "data" / "passt.npz", **outputs)
    for key, values in outputs.items():
        print(key, values.shape, "" if "layout" in key else (float(values.mean()), float(values.std())))


def run() -> dict[str, np.ndarray]:
    """Everything that is stored, by name."""
    from hear21passt.models.passt import PaSST
    from hear21passt.models.preprocess import AugmentMelSTFT
    from hear21passt.wrapper import PasstBasicWrapper

    torch.set_num_threads(1)
    # The package asks for pairs of numbers, which PyTorch does not give any more.
    stft = torch.stft
    torch.stft = lambda *args, **options: torch.view_as_real(stft(*args, **{**options, "return_complex": True}))
    outputs = {}
    for name, hop in FRONT_ENDS.items():
        mel = AugmentMelSTFT(hopsize=hop, fmin_aug_range=10, fmax_aug_range=2000).eval()
        outputs[f"mel-{name}"] = mel(torch.from_numpy(noisy_waveform(4_801, RATE))[None])[0].numpy()
    mel = AugmentMelSTFT(fmin_aug_range=10, fmax_aug_range=2000)
    for name, options, lengths in (("s", {}, LENGTHS), ("small", SMALL, (LONG,))):
        net = PaSST(img_size=(128, 998), stride=(10, 10), distilled=True, num_classes=527, **options)
        outputs[f"layout-{name}"] = layout(net.state_dict())
        net.load_state_dict(passt_state({key: tuple(value.shape) for key, value in net.state_dict().items()}))
        wrapper = PasstBasicWrapper(mel=mel, net=net).eval()
        for i, samples in enumerate(lengths):
            clip = torch.from_numpy(np.pad(noisy_waveform(samples, RATE), (0, max(0, 4_801 - samples))))[None]
            with torch.no_grad():
                outputs[f"scene-{name}-{i}"] = wrapper.get_scene_embeddings(clip)[0].numpy()
                if name == "small":
                    embeddings, times = wrapper.get_timestamp_embeddings(clip[:, :40_001])
                    outputs["timestamps"], outputs["times"] = embeddings[0].numpy()[:, ::5], times[0].numpy()
    return outputs


if __name__ == "__main__":
    main(*sys.argv[1:])
