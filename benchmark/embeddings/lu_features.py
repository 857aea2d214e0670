"""Lu, Zhang & Jiang's features as an embedding: 12 numbers a second (see `benchmark.audio.speech_music`)."""

from pathlib import Path

from benchmark.audio.speech_music import NAMES, SAMPLE_RATE, WINDOW, SpeechMusicFeatures
from benchmark.config.schema_embedding import EmbeddingConfig
from benchmark.embeddings.arguments import check_args
from benchmark.embeddings.windows import WindowEmbedding, Windows

_BATCH = 8


def build(config: EmbeddingConfig, weights: Path | None, device: str) -> WindowEmbedding:
    """Build the embedding; it has neither weights nor arguments.

    Raises:
        UserError: an argument is given.
    """
    check_args(config, {})
    return WindowEmbedding(
        config,
        SpeechMusicFeatures().to(device),
        _BATCH,
        Windows(WINDOW, WINDOW),
        sample_rate=SAMPLE_RATE,
        dim=len(NAMES),
        device=device,
    )
