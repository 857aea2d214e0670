from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.audioset_mel import LogMel
from benchmark.embeddings.yamnet import LOG_OFFSET, SAMPLE_RATE, build
from benchmark.errors import UserError
from tests.parity.checkpoints import noisy_waveform, relative_error, write_keras_h5, yamnet_layers
from tests.parity.make_yamnet import LENGTHS

REFERENCE = np.load(Path(__file__).parents[1] / "parity" / "data" / "yamnet.npz")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_keras_h5(tmp_path_factory.mktemp("yamnet") / "yamnet.h5", yamnet_layers())


def yamnet(weights: Path, **args):
    return build(EmbeddingConfig(name="y", family="yamnet", args=args), weights, "cpu")


@pytest.mark.parametrize("clip", range(3))
def test_agrees_with_the_authors(weights, clip):
    frames, times = yamnet(weights).embed([noisy_waveform(LENGTHS[clip], SAMPLE_RATE)])[0]
    assert relative_error(frames, REFERENCE[f"embeddings-{clip}"]) < 1e-4
    assert np.allclose(times, 0.48 * np.arange(len(times)) + 0.4875)


def test_front_end_agrees_with_the_authors():
    patch = np.pad(noisy_waveform(LENGTHS[0], SAMPLE_RATE), (0, 15_600 - LENGTHS[0]))
    log_mel = LogMel(LOG_OFFSET)(torch.from_numpy(patch)[None])[0]
    assert relative_error(log_mel.numpy(), REFERENCE["log_mel-0"]) < 1e-5


def test_silence_is_the_logarithm_of_the_offset():
    assert torch.allclose(LogMel(LOG_OFFSET)(torch.zeros(1, 15_600)), torch.tensor(LOG_OFFSET).log())


def test_neighbours_in_the_batch_change_nothing(weights):
    embedding = yamnet(weights)
    clips = [noisy_waveform(50_000, SAMPLE_RATE), np.zeros(1_600, np.float32), np.ones(1, np.float32)]
    alone = [embedding.embed([clip])[0][0] for clip in clips]
    for together in (embedding.embed(clips), embedding.embed(clips[::-1])[::-1]):
        for one, (frames, _) in zip(alone, together, strict=True):
            assert relative_error(frames, one) < 1e-5


def test_a_finer_hop_keeps_the_frames_of_the_coarse_one(weights):
    waveform = [noisy_waveform(40_000, SAMPLE_RATE)]
    fine, coarse = (yamnet(weights, hop=hop).embed(waveform)[0][0] for hop in (0.24, 0.48))
    assert relative_error(fine[::2], coarse[: len(fine[::2])]) < 1e-5
    with pytest.raises(UserError, match=r"multiple of 0\.01 s"):
        yamnet(weights, hop=0.005)


@pytest.mark.parametrize(
    ("layer", "named"), [("layer7/depthwise_conv", "layer7/depthwise_conv"), ("logits", "logits"), ("more", "more")]
)
def test_other_layers_are_refused_by_name(tmp_path, layer, named):
    layers = yamnet_layers()
    if layer in layers:
        layers[layer] = {}
    else:
        layers[layer] = {"kernel": np.zeros((2, 2), np.float32)}
    with pytest.raises(UserError, match=named):
        yamnet(write_keras_h5(tmp_path / "bad.h5", layers))
