import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.registry import build_embedding
from benchmark.embeddings.windows import Windows, hop_in_frames, slice_or_zeros
from benchmark.errors import UserError
from tests.parity import checkpoints


@given(
    samples=st.integers(1, 300),
    size=st.integers(1, 60),
    hop=st.integers(1, 60),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    tail=st.sampled_from(["drop", "pad"]),
)
def test_windows_are_those_of_the_padded_clip(samples, size, hop, before, after, tail):
    windows = Windows(size, hop, before, after, tail)
    clip = np.arange(1, samples + 1, dtype=np.float32)
    count = windows.count(samples)
    padded = np.pad(clip, (before, after + (count - 1) * hop + size))
    expected = np.stack([padded[i * hop : i * hop + size] for i in range(count)])
    assert np.array_equal(windows.cut(clip, 0, count), expected)
    assert np.array_equal(windows.cut(clip, count - 1, count), expected[-1:])
    rest = before + samples + after - (count - 1) * hop - size
    assert rest <= 0 if tail == "pad" else rest < hop
    assert count == 1 or rest > -hop
    if tail == "drop" and count > 1:
        assert rest >= 0


@given(samples=st.integers(1, 20), start=st.integers(-30, 30), length=st.integers(1, 30))
def test_a_slice_is_zero_where_the_clip_has_no_samples(samples, start, length):
    clip = np.arange(1, samples + 1, dtype=np.float32)
    expected = [clip[i] if 0 <= i < samples else 0 for i in range(start, start + length)]
    assert slice_or_zeros(clip, start, start + length).tolist() == expected


@pytest.mark.parametrize("hop", [0.0, 0.005, -1.0])
def test_a_hop_that_frames_do_not_have_is_refused(hop):
    config = EmbeddingConfig(name="w", family="yamnet")
    with pytest.raises(UserError, match=r"embeddings/w\.yaml: args: hop"):
        hop_in_frames(config, hop, 160, 16_000)


@pytest.fixture(scope="module", params=["openl3", "vggish", "yamnet", "musicnn", "musicnn-vgg", "random-cnn"])
def embedding(request, tmp_path_factory):
    """One embedding of each family that cuts clips, with seeded weights."""
    folder = tmp_path_factory.mktemp(request.param)
    config = {"name": "w", "family": request.param.removesuffix("-vgg")}
    path = folder / "weights.h5"
    if request.param == "openl3":
        checkpoints.write_keras_h5(path, checkpoints.openl3_layers())
        config |= {"model": "mel128-512", "args": {"hop": 1.0}}
    elif request.param == "vggish":
        config |= {"model": "vggish"}
        torch.save({name: torch.from_numpy(array) for name, array in checkpoints.vggish_arrays().items()}, path)
    elif request.param == "yamnet":
        checkpoints.write_keras_h5(path, checkpoints.yamnet_layers())
    elif config["family"] == "musicnn":
        vgg = request.param.endswith("vgg")
        path = checkpoints.write_tensor_bundle(folder / "weights", checkpoints.musicnn_variables(vgg))
        config |= {"model": "mtt-vgg" if vgg else "mtt"}
    else:
        path = None
        config |= {"model": "timbral-temporal", "args": {"filters": 8}}
    return build_embedding(EmbeddingConfig(**config), path, "cpu")


@pytest.mark.parametrize("sound", ["silence", "click", "dc", "clipping", "one sample", "0.1 s"])
def test_strange_sounds_give_finite_vectors(embedding, sound):
    rate = embedding.sample_rate
    t = np.arange(rate // 2) / rate
    tone = np.sin(2 * np.pi * 440 * t)
    sounds = {
        "silence": 0 * t,
        "click": (t == t[100]).astype(float),
        "dc": 0 * t + 0.5,
        "clipping": np.clip(10 * tone, -1, 1),
        "one sample": tone[1:2],
        "0.1 s": tone[: rate // 10],
    }
    frames, times = embedding.embed([sounds[sound].astype(np.float32)])[0]
    assert frames.shape == (len(times), embedding.dim)
    assert np.isfinite(frames).all()
