"""Patches of a log-mel spectrum, flattened: the input of Kehling & Cano's DNN baseline (CMMR 2021, section 4).

22,050 Hz, peak-normalised, windows of 2048 samples every 512, 128 bands, decibels below the clip's maximum down to -80;
ten consecutive frames make a vector of 1,280 numbers, time before mel. Scaling each number to zero mean and a range of
-1 to 1 needs training data and belongs to the probe, as does the network of two layers.
"""

from pathlib import Path

from torch import nn

from benchmark.audio.cepstra import LogMel
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, source
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout
from benchmark.errors import UserError

SAMPLE_RATE = 22_050

# Nothing is computed from a patch: the batch only bounds memory.
_BATCH = 256


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> FeatureEmbedding:
    """Build an embedding of family `melpatch`; `args: frames` is the length of a patch.

    Raises:
        UserError: arguments that do not fit, or a file of weights.
    """
    args = check_args(config, {"frames": 10})
    if weights is not None:
        raise UserError(f"{source(config)}: weights: family melpatch has none; write `weights: none`")
    frames = args["frames"]
    if frames < 1:
        raise UserError(f"{source(config)}: args: frames is {frames}; it must be at least 1")
    features = LogMel(SAMPLE_RATE).to(device)
    return FeatureEmbedding(
        config,
        features,
        nn.Flatten(),
        _BATCH,
        Layout(size=frames, hop=frames, step_s=features.hop / SAMPLE_RATE),
        least_samples=(frames - 1) * features.hop,
        sample_rate=SAMPLE_RATE,
        dim=frames * features.size,
        device=device,
    )
