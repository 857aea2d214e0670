"""What every embedding promises, as one check."""

import numpy as np

from benchmark.embeddings.base import Embedding
from tests.parity.checkpoints import noisy_waveform


def edge_cases(sample_rate: int) -> dict[str, np.ndarray]:
    """Waveforms (samples,) that break careless front ends."""
    second = np.arange(sample_rate) / sample_rate
    click = np.zeros(sample_rate, np.float32)
    click[sample_rate // 3] = 1.0
    return {
        "silence": np.zeros(sample_rate, np.float32),
        "click": click,
        "dc": np.full(sample_rate, 0.5, np.float32),
        "clipping": np.sign(np.sin(2 * np.pi * 220 * second)).astype(np.float32),
        "one sample": np.full(1, 0.3, np.float32),
        "a tenth": noisy_waveform(sample_rate // 10, sample_rate),
    }


def check_contract(embedding: Embedding, seconds: float = 2.5, tolerance: float = 1e-5) -> None:
    """Assert that company in the batch changes nothing, and that nothing makes the vectors infinite.

    Args:
        embedding: any.
        seconds: length of the longest clip.
        tolerance: greatest deviation over greatest value of a clip's frames.
    """
    rate = embedding.sample_rate
    clips = [noisy_waveform(round(seconds * rate), rate), *edge_cases(rate).values()]
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
