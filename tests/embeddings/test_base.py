import numpy as np
import pytest
import torch

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args, check_choice
from benchmark.embeddings.base import Embedding, embed_equal_lengths, pool
from benchmark.embeddings.patches import PatchEmbedding, Patches
from benchmark.embeddings.registry import FAMILIES, build_embedding
from benchmark.errors import ClipError, UserError


def config(**fields):
    return EmbeddingConfig(**{"name": "toy", "family": "toy", **fields})


class Toy(Embedding):
    """Gives whatever it was made with."""

    def __init__(self, frames=((1.0, 2.0),), times=(0.5,), **fields):
        super().__init__(config(**fields), sample_rate=100, dim=2, hop_seconds=0.1, device="cpu")
        self.answer = torch.tensor(frames), np.array(times)

    def _embed(self, waveforms):
        assert torch.is_inference_mode_enabled()
        return [self.answer for _ in waveforms]


ONE = np.ones(5, dtype=np.float32)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.ones(5), "float32"),
        (np.ones((1, 5), dtype=np.float32), "mono"),
        ([0.1, 0.2], "float32"),
        (np.ones(0, dtype=np.float32), "no samples"),
        (np.array([0.0, np.nan], dtype=np.float32), "not finite"),
        (np.array([0.0, np.inf], dtype=np.float32), "not finite"),
    ],
)
def test_bad_waveforms_are_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        Toy().embed([ONE, waveform])


def test_no_waveforms_give_no_frames():
    assert Toy().embed([]) == []


def test_frames_and_times_have_the_promised_types():
    frames, times = Toy(frames=torch.ones(1, 2, dtype=torch.float64).tolist()).embed([ONE])[0]
    assert (frames.dtype, frames.shape, times.dtype, times.shape) == (np.float32, (1, 2), np.float64, (1,))


def test_values_that_are_not_finite_are_an_error_of_the_clip():
    with pytest.raises(ClipError, match="clip 0"):
        Toy(frames=((1.0, float("nan")),)).embed([ONE])


@pytest.mark.parametrize(
    ("frames", "times"), [(((1.0, 2.0, 3.0),), (0.5,)), (((1.0, 2.0), (1.0, 2.0)), (0.5, 0.5)), ((), ())]
)
def test_frames_that_break_the_contract_are_a_defect(frames, times):
    with pytest.raises(RuntimeError, match="do not fit"):
        Toy(frames=frames, times=times).embed([ONE])


@pytest.mark.parametrize(("field", "value"), [("sample_rate", 8000), ("dim", 3), ("hop", 0.2)])
def test_yaml_that_declares_something_else_is_refused(field, value):
    with pytest.raises(UserError, match=rf"^embeddings/toy\.yaml: {field}: says {value}, the model gives"):
        Toy(**{field: value})


def test_clip_vector_is_pooled_as_the_yaml_says():
    toy = Toy(frames=((1.0, 5.0), (3.0, 1.0)), times=(0.0, 1.0), pool="mean_std")
    np.testing.assert_array_equal(toy.embed_clip(ONE), [2, 3, 1, 2])


@pytest.mark.parametrize(
    ("how", "expected"), [("mean", [2, 3]), ("mean_std", [2, 3, 1, 2]), ("max", [3, 5]), ("first", [1, 5])]
)
def test_pooling(how, expected):
    pooled = pool(np.array([[1, 5], [3, 1]], dtype=np.float32), how)
    assert pooled.dtype == np.float32
    np.testing.assert_array_equal(pooled, expected)


def test_pooling_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="no frames"):
        pool(np.ones((0, 3), dtype=np.float32), "mean")
    with pytest.raises(ValueError, match="median"):
        pool(np.ones((2, 3), dtype=np.float32), "median")


def test_equal_lengths_share_a_batch_and_keep_their_order():
    batches = []

    def embed_batch(batch):
        batches.append(batch.shape)
        return torch.from_numpy(batch.sum(axis=1))

    clips = [np.full(n, i, dtype=np.float32) for i, n in enumerate([3, 5, 3, 3, 20])]
    assert [x.item() for x in embed_equal_lengths(clips, embed_batch, max_samples=6)] == [0, 5, 6, 9, 80]
    assert batches == [(2, 3), (1, 3), (1, 5), (1, 20)]


class Sums(PatchEmbedding):
    """Patches of four samples without overlap; a frame is the sum of its patch, and the first frame comes twice."""

    def __init__(self, batch_size):
        self.batches = []
        super().__init__(
            config(), self.sums, batch_size, sample_rate=4, dim=1, hop_seconds=1.0, device=torch.device("cpu")
        )

    def sums(self, batch):
        self.batches.append(len(batch))
        return batch.sum(dim=1, keepdim=True)

    def patches(self, waveform):
        rows = torch.from_numpy(waveform).reshape(-1, 4)
        index = np.concatenate([[0], np.arange(len(rows))])
        return Patches(len(rows), lambda start, stop: rows[start:stop], np.arange(len(index)) + 0.5, index)


def test_patches_of_several_clips_fill_batches():
    clips = [np.arange(4 * n, dtype=np.float32) for n in (1, 5, 2)]
    embedding = Sums(batch_size=3)
    embedded = embedding.embed(clips)
    assert embedding.batches == [3, 3, 2]
    for clip, (frames, times) in zip(clips, embedded, strict=True):
        sums = clip.reshape(-1, 4).sum(axis=1)
        np.testing.assert_array_equal(frames[:, 0], [sums[0], *sums])
        assert len(times) == len(frames)


def test_unknown_family_names_the_nearest():
    with pytest.raises(UserError, match="did you mean ina"):
        build_embedding(config(family="inaa"))
    with pytest.raises(UserError, match=f"known: {', '.join(sorted(FAMILIES))}"):
        build_embedding(config(family="zzz"))


def test_weights_that_are_not_there_are_named():
    with pytest.raises(UserError, match=r"no file /nowhere/net\.h5"):
        build_embedding(config(family="ina"), weights="/nowhere/net.h5")


def test_arguments_are_checked_against_the_defaults():
    defaults = {"hop": 0.02, "read_out": "conv", "trim": False, "n": 3}
    assert check_args(config(args={"hop": 1, "trim": True}), defaults) == {**defaults, "hop": 1, "trim": True}
    for args in ({"hops": 1}, {"hop": "1"}, {"hop": True}, {"trim": 1}, {"n": 0.5}):
        with pytest.raises(UserError, match=next(iter(args))):
            check_args(config(args=args), defaults)
    with pytest.raises(UserError, match="one of a, b"):
        check_choice(config(), "model", "c", ("a", "b"))
