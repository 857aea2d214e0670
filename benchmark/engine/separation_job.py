"""One fold of a separator on a task: trained, its test tracks separated and scored, in a process of its own."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmark.config.schema_separator import SeparatorConfig
from benchmark.report.atomic import write_text
from benchmark.separation.stems import Track


@dataclass(frozen=True)
class SeparationJob:
    """A fold.

    Attributes:
        config: the separator, as JSON of its YAML.
        weights: source (or `all`) -> file, of published weights.
        sources, fixed_order, metrics: the task's.
        taught: sources of the mixtures that it is trained on.
        train, valid, test: tracks.
        fold, seed: number of the fold, and of everything random in it.
        folder: where the fold's scores, its weights and the state of its training go.
        device: where it runs.
        curves: `none`, or what the learning curves are written by; they go to `curves_folder`.
    """

    name: str
    config: str
    weights: tuple[tuple[str, Path], ...]
    sources: tuple[str, ...]
    taught: tuple[str, ...]
    fixed_order: bool
    metrics: tuple[str, ...]
    train: tuple[Track, ...]
    valid: tuple[Track, ...]
    test: tuple[Track, ...]
    fold: int
    seed: int
    folder: Path
    device: str
    curves: str = "none"
    curves_folder: Path = Path("curves")

    @property
    def scores_file(self) -> Path:
        return fold_file(self.folder, self.fold)


def fold_file(folder: Path, fold: int) -> Path:
    """Where the scores of a fold are; the file is there when the fold is finished."""
    return folder / f"fold{fold}.json"


def separation_job(job: SeparationJob) -> None:
    """Train on the fold, separate its test part, score it, and write the scores.

    Raises:
        UserError: the separator's YAML or its weights are wrong.
        ClipError: a track cannot be read.
    """
    import torch

    from benchmark.separation.apply import estimate
    from benchmark.separation.families import ORACLE
    from benchmark.separation.scoring import score_track
    from benchmark.separation.stems import StemReader

    torch.set_num_threads(1)
    config = SeparatorConfig.model_validate_json(job.config)
    reader = StemReader(config.sample_rate, config.channels)
    training: dict[str, Any] = {}
    separator = None
    if config.family != ORACLE:
        separator, training = _learned(job, config, reader)
    tracks = []
    for track in job.test:
        stems, mixture = reader.stems(track), reader.mixture(track)
        estimates = estimate(config, separator, mixture, reader.parts(track), len(stems), job.device)
        fixed = job.fixed_order and (separator is None or separator.fixed_order)
        found = score_track(stems, estimates.cpu().numpy(), mixture, config.sample_rate, job.metrics, fixed)
        rounded = {
            name: [round(v, 6) if np.isfinite(v) else None for v in values] for name, values in found.scores.items()
        }
        about = {"windows": found.windows, "silent_windows": found.silent_windows} if found.windows else {}
        tracks.append({"id": track.id, "scores": rounded, **about})
    write_text(job.scores_file, json.dumps({"tracks": tracks, "training": training}, indent=1, sort_keys=True) + "\n")


def _learned(job: SeparationJob, config: SeparatorConfig, reader) -> tuple[Any, dict[str, Any]]:
    """The separator with its weights: published, trained on this fold before, or trained now."""
    import torch
    from safetensors.torch import save_file

    from benchmark.separation.apply import load_separator
    from benchmark.separation.curves import curve_writer
    from benchmark.separation.families import build_separator
    from benchmark.separation.training import train_separator

    file, about = job.folder / f"fold{job.fold}.safetensors", job.folder / f"fold{job.fold}.training.json"
    if config.weights is not None:
        return load_separator(config, job.taught, job.fixed_order, job.device, weights=dict(job.weights)), {}
    if file.is_file() and about.is_file():
        separator = load_separator(config, job.taught, job.fixed_order, job.device, trained=file)
        return separator, json.loads(about.read_text("utf-8"))
    torch.manual_seed(job.seed)
    separator = build_separator(config, job.taught, job.fixed_order)
    job.folder.mkdir(parents=True, exist_ok=True)
    # A line a fold below the stage's own, where somebody looks on.
    bar = tqdm(
        total=config.train.steps, desc=f"{job.name}, fold {job.fold + 1}", unit="step", position=job.fold + 1, leave=False,
        disable=None, mininterval=2,
    )  # fmt: skip
    with bar, curve_writer(job.curves, job.curves_folder / f"fold{job.fold}") as curves:
        report = train_separator(
            separator, job.train, job.valid, reader, config.train, job.seed,
            job.folder / f"fold{job.fold}.state.pt", job.device, lambda done, _: bar.update(done - bar.n), curves,
        )  # fmt: skip
    training = {
        "steps": report.steps,
        "best_step": report.best_step,
        "best_loss": round(report.best_loss, 6),
        "parameters": sum(p.numel() for p in separator.parameters()),
    }
    part = file.with_name(f".{file.name}.part")
    save_file({key: value.detach().cpu().contiguous() for key, value in separator.state_dict().items()}, part)
    part.replace(file)
    write_text(about, json.dumps(training, sort_keys=True) + "\n")
    return separator, training
