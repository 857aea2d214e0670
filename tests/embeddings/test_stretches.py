"""Long clips are heard in stretches: the frames are those of the whole, and however the clip comes, they are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.config.load import load
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.base import Embedding
from benchmark.embeddings.feature_patches import FeatureEmbedding, Layout
from benchmark.embeddings.gated_cnn import GatedCnnEmbedding
from benchmark.embeddings.passt import Centred, PasstEmbedding
from benchmark.embeddings.registry import build_embedding
from benchmark.embeddings.slowfast import MuleEmbedding, MuleMel
from benchmark.embeddings.spans import SpanEmbedding, Steps, Windows
from benchmark.embeddings.stretches import Context, Cuts, cut
from tests.parity.checkpoints import noisy_waveform

ROOT = Path(__file__).parents[2]

# Their frames depend on nothing but what is near (of a clip as loud as this one, and with sound throughout).
LOCAL = {
    "logmel-stats": {},
    "ina-sm": {"hop": 0.2},
    "ge2e": {},
    "lu-speech-music": {},
    "classical-frames": {},
    "randomcnn-temporal-s0": {"filters": 16},
}
# They look at the whole clip: its peak, its greatest decibel, or all of its samples.
GLOBAL = {"mfcc-stats": {}, "melspec-dnn": {}}


def check(embedding, seconds: float = 40.123, exact: bool = True) -> None:
    rate = embedding.sample_rate
    clip = noisy_waveform(round(seconds * rate), rate)
    whole, times = embedding.embed([clip])[0]
    embedding.longest_s = 8.0
    (frames, at), (short, _) = embedding.embed([clip, clip[:rate]])
    pieces = list(embedding.embed_stream(np.array_split(clip, 7)))
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in pieces]), frames)
    np.testing.assert_array_equal(np.concatenate([piece for _, piece in pieces]), at)
    assert np.all(np.diff(at) > 0)
    assert len(short)
    if exact:
        np.testing.assert_allclose(at, times, atol=1e-9)
        assert np.abs(frames - whole).max() <= 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("name", [*LOCAL, *GLOBAL])
def test_families_at_hand(name):
    config = load(ROOT / "embeddings" / f"{name}.yaml", EmbeddingConfig)
    changed = {"args": {**config.args, **LOCAL.get(name, {})}, "hop": None, "dim": None}
    check(build_embedding(config.model_copy(update=changed), device="cpu"), exact=name in LOCAL)


def config(family: str, **fields) -> EmbeddingConfig:
    return EmbeddingConfig(name=family, family=family, **fields)


class Steady(torch.nn.Module):
    """A frame every `step` samples that tells their place in the window, the sum of `field`, and of the whole window."""

    def __init__(self, step: int, field: int):
        super().__init__()
        self.step, self.field = step, field

    def forward(self, x):
        frames = x.unfold(1, self.field, self.step).double()
        count = frames.shape[1]
        place = torch.arange(count).expand(len(x), count)
        return torch.stack([place, frames.sum(dim=2), x.double().sum(dim=1, keepdim=True).expand(-1, count)], dim=2)


class Greatest(Embedding):
    """One vector a clip, of all of it; it says nothing of what its frames need."""

    def __init__(self):
        super().__init__(config("greatest"), sample_rate=100, dim=1, hop_seconds=1.0, device="cpu")

    def _embed(self, waveforms):
        return [(torch.tensor([[x.max()]]), np.array([len(x) / 200])) for x in waveforms]


def test_stretches_are_clips_of_their_own_where_a_family_says_nothing():
    embedding = Greatest()
    check(embedding, exact=False)
    frames, times = embedding.embed([np.arange(1100, dtype=np.float32)])[0]
    assert frames.ravel().tolist() == [199, 399, 599, 799, 1099]
    assert times.tolist() == [1.0, 3.0, 5.0, 7.0, 9.5]


class Segments(torch.nn.Module):
    """Steps of segments (B, 240, F) that tell themselves and the whole segment, as a recurrent layer would."""

    dim = 2

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def embed(self, x):
        steps = x.mean(dim=2).unfold(1, self.stride, self.stride).mean(dim=2)
        return torch.stack([steps, steps.mean(dim=1, keepdim=True).expand_as(steps)], dim=2)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 9), st.integers(0, 3), st.integers(1, 30), st.integers(0, 4_000))
def test_windows_of_steps_are_cut_where_those_of_the_whole_are(window, margin, field, more):
    schedule = Steps(10, field, window + 2 * margin, margin, centre=field / 2)
    embedding = SpanEmbedding(
        config("steps"), Steady(10, field), schedule, sample_rate=1000, dim=3, hop_seconds=0.01, device="cpu"
    )
    check(embedding, 9.0 + more / 1000)


@settings(deadline=None, max_examples=15)
@given(st.integers(20, 900), st.integers(1, 900), st.integers(0, 4_000), st.booleans())
def test_windows_are_those_of_the_whole(window, hop, more, centred):
    kind, schedule = SpanEmbedding, Windows(window, hop)
    if centred:
        kind, schedule = PasstEmbedding, Centred(window, hop, window, 1)
    embedding = kind(
        config("windows"),
        lambda x: torch.stack([x.mean(dim=1), x[:, 0], x[:, -1]], dim=1)[:, None],
        schedule,
        sample_rate=1000,
        dim=3,
        hop_seconds=hop / 1000,
        device="cpu",
    )
    check(embedding, 9.0 + more / 1000)


@pytest.mark.parametrize("tail", ["drop", "last"])
@pytest.mark.parametrize("hop", [7, 30, 45])
def test_patches_of_features_are_those_of_the_whole(hop, tail):
    embedding = FeatureEmbedding(
        config("features"),
        lambda x: x.unfold(0, 400, 160).square().mean(dim=1, keepdim=True),
        lambda x: torch.cat([x.mean(dim=1), x[:, 0], x[:, -1]], dim=1),
        16,
        Layout(30, hop, 0.01, 0.0125, tail),
        400 + 29 * 160,
        sample_rate=16_000,
        dim=3,
        device="cpu",
    )
    check(embedding)


def test_networks_of_slices_and_of_segments():
    torch.manual_seed(0)
    flat = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(12 * 37, 4)).eval()
    flat.dim = 4
    check(MuleEmbedding(config("slowfast"), MuleMel(), flat, "cpu"))
    for model, stride in {"tagging": 8, "detection": 1}.items():
        gated = GatedCnnEmbedding(config("gated-cnn", model=model), Segments(stride), torch.nn.Identity(), "cpu")
        check(gated, 61.0)


@settings(deadline=None)
@given(
    st.builds(Context, st.integers(1, 50), st.integers(0, 300), st.integers(0, 300)),
    st.lists(st.integers(1, 800), min_size=1, max_size=12),
    st.integers(1, 60),
)
def test_every_sample_is_in_one_stretch_however_the_blocks_fall(context, blocks, longest):
    cuts = Cuts.of(context, 10, longest)
    clip = np.arange(sum(blocks), dtype=np.float32)
    stretches = list(cut(np.split(clip, np.cumsum(blocks)[:-1]), cuts))
    assert [(s.start or 0) for s in stretches[1:]] == [s.stop for s in stretches[:-1]]
    assert (stretches[0].start, stretches[-1].stop) == (None, None)
    assert len(stretches) == 1 if len(clip) <= cuts.limit else len(stretches) >= 2
    for s, other in zip(stretches, cut([clip], cuts), strict=True):
        assert s.offset % context.unit == 0
        np.testing.assert_array_equal(s.samples, clip[s.offset : s.offset + len(s.samples)])
        np.testing.assert_array_equal(s.samples, other.samples)
        assert s.offset == max(0, (s.start or 0) - cuts.before)
        assert s.offset + len(s.samples) >= min(len(clip), (s.stop or len(clip)) + context.after)
        assert len(s.samples) <= max(cuts.limit, cuts.before + 2 * cuts.size + cuts.after)


def test_no_samples_are_an_error():
    with pytest.raises(ValueError, match="without samples"):
        list(cut([], Cuts.of(Context(), 10)))
