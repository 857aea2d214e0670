"""Some clips behind a front end, in a process of its own: separated, or their stem taken, and written."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.separation.stems import Track

# An oracle asks for the stems of a clip twice.
_CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class FrontEndJob:
    """Some clips.

    Attributes:
        name: of the front end, for messages.
        config: the separator, as JSON of its YAML; None: the stem is taken.
        weights: source (or `all`) -> file, of published weights.
        trained: file of weights that were trained here.
        sources, taught: sources of its task, and of the mixtures that it was trained on.
        source: the one that is kept.
        tracks, outs: the clips, and the file of each.
        device: where the separator runs.
    """

    name: str
    config: str | None
    weights: tuple[tuple[str, Path], ...]
    trained: Path | None
    sources: tuple[str, ...]
    taught: tuple[str, ...]
    source: str
    tracks: tuple[Track, ...]
    outs: tuple[Path, ...]
    device: str


def front_end_job(job: FrontEndJob) -> None:
    """Write what is heard of every clip: mono, 32 bit, at the separator's rate or the stem's own.

    Raises:
        UserError: the separator's YAML or its weights are wrong.
        ClipError: a clip cannot be read.
    """
    import torch

    torch.set_num_threads(1)
    heard = _stem if job.config is None else _Separating(job)
    for track, out in zip(job.tracks, job.outs, strict=True):
        if out.is_file():
            continue
        out.parent.mkdir(parents=True, exist_ok=True)
        sound, rate = heard(track)
        part = out.with_name(f".{out.name}.part")
        soundfile.write(part, sound, rate, subtype="FLOAT", format="WAV")
        part.replace(out)


def _stem(track: Track) -> tuple[np.ndarray, int]:
    """The stem of a track (T,), and its file's rate."""
    from benchmark.separation.stems import StemReader

    rate = soundfile.info(track.path).samplerate
    return StemReader(rate, 1, cache_bytes=0).stems(track)[0, 0], rate


class _Separating:
    """A track to a source's estimate (T,) at the separator's rate."""

    def __init__(self, job: FrontEndJob):
        from benchmark.separation.apply import load_separator
        from benchmark.separation.families import ORACLE
        from benchmark.separation.stems import StemReader

        self.config, self.job = SeparatorConfig.model_validate_json(str(job.config)), job
        self.reader = StemReader(self.config.sample_rate, self.config.channels, _CACHE_BYTES)
        self.separator = None
        if self.config.family != ORACLE:
            self.separator = load_separator(self.config, job.taught, True, job.device, job.trained, dict(job.weights))

    def __call__(self, track: Track) -> tuple[np.ndarray, int]:
        import torch

        from benchmark.separation.apply import estimate

        # What is drawn while separating depends on nothing but the clip.
        torch.manual_seed(0)
        if self.separator is None:
            mixture, parts = self.reader.mixture(track), self.reader.parts(track)
        else:
            mixture, parts = self.reader.whole(track), np.zeros((0, 0, 0), np.float32)
        sources = self.job.sources
        estimates = estimate(self.config, self.separator, mixture, parts, len(sources), self.job.device)
        return estimates[sources.index(self.job.source)].mean(dim=0).cpu().numpy(), self.config.sample_rate
