"""Run the authors' BEATs on seeded weights and audio, and store what it gives.

Usage: python -m tests.parity.make_beats BEATS

BEATS is the folder `beats` of microsoft/unilm. Needs torchaudio.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from tests.parity.checkpoints import noisy_waveform
from tests.parity.torch_weights import layout, seeded_state

RATE = 16_000
# Shorter than the network's minimum of 2800 samples, an odd length, a few seconds.
LENGTHS = (2_000, 10_001, 40_000)

# The configuration in the published checkpoints, as two public dumps of it agree.
CONFIG = {
    "encoder_layers": 12,
    "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 3072,
    "encoder_attention_heads": 12,
    "activation_fn": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "encoder_layerdrop": 0.05,
    "dropout_input": 0.0,
    "layer_norm_first": False,
    "conv_bias": False,
    "conv_pos": 128,
    "conv_pos_groups": 16,
    "relative_position_embedding": True,
    "num_buckets": 320,
    "max_distance": 800,
    "gru_rel_pos": True,
    "deep_norm": True,
    "input_patch_size": 16,
    "layer_wise_gradient_decay_ratio": 0.6,
    "embed_dim": 512,
    "finetuned_model": False,
    "predictor_class": 527,
}


def beats_state(of: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Seeded weights: one table for all layers, positions and gates that matter."""
    state = seeded_state(of)
    state["encoder.pos_conv.0.weight_g"] *= 30.0
    for key in state:
        if key.endswith("relative_attention_bias.weight"):
            state[key] = 4.0 * seeded_state({"table": of[key]})["table"]
    return state


def main(path: str) -> None:
    sys.path.insert(0, path)
    from BEATs import BEATs, BEATsConfig

    torch.set_num_threads(1)
    outputs = {}
    for kind, fine_tuned in (("pretrained", False), ("finetuned", True)):
        model = BEATs(BEATsConfig({**CONFIG, "finetuned_model": fine_tuned})).eval()
        outputs[f"layout-{kind}"] = layout(model.state_dict())
        model.load_state_dict(beats_state({key: tuple(value.shape) for key, value in model.state_dict().items()}))
        for i, samples in enumerate(LENGTHS):
            clip = np.pad(noisy_waveform(samples, RATE), (0, max(0, 2_800 - samples)))
            with torch.no_grad():
                given = model.extract_features(torch.from_numpy(clip)[None])[0][0]
            if fine_tuned:
                outputs[f"probabilities-{i}"] = given.numpy()
            else:
                # All bands of the shortest clip, their means of the others: the file stays small.
                outputs[f"steps-{i}"] = given.view(-1, 8, 768).mean(dim=1).numpy()
                if i == 0:
                    outputs["tokens-0"] = given.numpy()
    np.savez_compressed(Path(__file__).parent / "data" / "beats.npz", **outputs)
    for key, values in outputs.items():
        print(key, values.shape, "" if key.startswith("layout") else (float(values.mean()), float(values.std())))


if __name__ == "__main__":
    main(*sys.argv[1:])
