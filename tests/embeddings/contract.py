"""What every embedding promises, as one check."""

import numpy as np
import torch

from benchmark import hear
from benchmark.embeddings.base import Embedding
from tests.parity.checkpoints import noisy_waveform


def edge_cases(sample_rate: int, seconds: float = 1.0) -> dict[str, np.ndarray]:
    """Waveforms (samples,) that break careless front ends."""
    samples = round(seconds * sample_rate)
    click = np.zeros(samples, np.float32)
    click[samples // 3] = 1.0
    return {
        "silence": np.zeros(samples, np.float32),
        "click": click,
        "dc": np.full(samples, 0.5, np.float32),
        "clipping": np.sign(np.sin(2 * np.pi * 220 * np.arange(samples) / sample_rate)).astype(np.float32),
        "one sample": np.full(1, 0.3, np.float32),
        "a tenth": noisy_waveform(sample_rate // 10, sample_rate),
    }


def check_contract(
    embedding: Embedding, seconds: float = 2.5, tolerance: float = 1e-5, edge_seconds: float = 1.0
) -> None:
    """Assert that company in the batch changes nothing, and that nothing makes the vectors infinite.

    Args:
        embedding: any.
        seconds: length of the longest clip.
        edge_seconds: length of silence, click and the like.
        tolerance: greatest deviation over greatest value of a clip's frames.
    """
    rate = embedding.sample_rate
    clips = [noisy_waveform(round(seconds * rate), rate), *edge_cases(rate, edge_seconds).values()]
    alone = [embedding.embed([clip])[0] for clip in clips]
    for (frames, times), clip in zip(alone, clips, strict=True):
        assert frames.shape == (len(times), embedding.dim)
        assert np.isfinite(frames).all()
        assert len(times) == 1 or 0.0 <= times[0] <= times[-1] <= len(clip) / rate + 1.5 * embedding.hop_seconds
    order = np.random.default_rng(0).permutation(len(clips))
    shuffled = embedding.embed([clips[i] for i in order])
    batch = embedding.embed(clips)
    for position, (frames, times) in enumerate(alone):
        for other in (batch[position], shuffled[order.tolist().index(position)]):
            assert np.array_equal(times, other[1])
            assert np.abs(other[0] - frames).max() <= tolerance * np.abs(frames).max()


def check_hear(embedding: Embedding) -> None:
    """Assert what hear-validator does of a module and its model, on less sound."""
    model = hear.HearModel(embedding)
    assert model.sample_rate in (16000, 22050, 44100, 48000)
    assert type(model.scene_embedding_size) is type(model.timestamp_embedding_size) is int
    audio = torch.rand((2, 2 * model.sample_rate), generator=torch.Generator().manual_seed(0)) * 2 - 1
    embeddings, timestamps = hear.get_timestamp_embeddings(audio, model)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape == (2, timestamps.shape[1], model.timestamp_embedding_size)
    assert timestamps.shape[0] == 2
    steps = torch.diff(timestamps)
    assert steps.numel() == 0 or (steps - steps.mean()).abs().max() < 1e-3
    scenes = hear.get_scene_embeddings(audio[:, : model.sample_rate // 2], model)
    assert scenes.dtype == torch.float32
    assert scenes.shape == (2, model.scene_embedding_size)
