"""The download stage: datasets fetched or rendered, and a manifest of what each one holds."""

import json
from pathlib import Path

from tqdm import tqdm

from benchmark.config.keys import content_key
from benchmark.config.schema_embedding import WeightsConfig
from benchmark.datasets.ledger import read_ledger
from benchmark.datasets.sources import prepare
from benchmark.embeddings.weights import is_local
from benchmark.engine.outcome import Failure, Outcome
from benchmark.engine.plan import Project
from benchmark.engine.pool import default_workers
from benchmark.errors import UserError
from benchmark.report.atomic import remove_leftovers, write_text


def download(project: Project) -> Outcome:
    """Make every selected dataset that is not whole, and write `manifests/<dataset>.json`: digests of audio and annotation.

    The manifest is what the later stages depend on in DVC: it changes when a file of a user's own folder does.
    """
    outcome = Outcome()
    folder = project.data_root / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    _write_unseen(project, folder / "_embeddings.json")
    data = project.params.data
    for name in sorted({*project.dataset_names(), *project.source_dataset_names()}):
        config = project.dataset(name)
        try:
            with Bars() as bars:
                prepared = prepare(
                    config,
                    project.data_root,
                    bars,
                    seed=data.render_seed,
                    scale=data.render_scale,
                    workers=project.params.engine.workers or default_workers(),
                    keep_archives=data.keep_archives,
                    mirrors=data.mirrors,
                )
            outcome.notes += prepared.notes
            fresh = _write_manifest(project, name, folder)
        except UserError as error:
            (folder / f"{name}.json").unlink(missing_ok=True)
            outcome.failures.append(Failure(name, str(error)))
            continue
        if prepared.fresh or fresh:
            outcome.computed += 1
        else:
            outcome.reused += 1
    return outcome


def _write_manifest(project: Project, name: str, folder: Path) -> bool:
    """Write what the dataset holds; returns whether that is news."""
    clips, digests = project.clips(name), project.digests(name)
    rows = [[clip.id, digests[clip.id], dict(clip.labels), clip.group, clip.split] for clip in clips]
    ledger = read_ledger(project.data_root)
    fetched = {key: entry["sha256"] for key, entry in ledger.items() if key.split("/")[0] == name}
    manifest = {"clips": len(clips), "content": content_key(rows), "files": fetched}
    return write_text(folder / f"{name}.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _write_unseen(project: Project, path: Path) -> None:
    """Note what embeddings are made of outside of the project, where DVC does not look: local weights, others' modules."""
    unseen = {}
    for config in project.embeddings:
        if not config.module and not _is_elsewhere(config.weights, project.data_root):
            continue
        try:
            plan = project.plan_embedding(config)
        except UserError as error:
            unseen[config.name] = str(error)
        else:
            unseen[config.name] = content_key([plan.ingredients["weights"], plan.ingredients["extract_code"]])
    if unseen:
        write_text(path, json.dumps(unseen, indent=1, sort_keys=True) + "\n")
    else:
        path.unlink(missing_ok=True)


def _is_elsewhere(weights: WeightsConfig | None, data_root: Path) -> bool:
    """Whether the weights are a local file that no stage makes."""
    if weights is None or not is_local(weights):
        return False
    return not Path(str(weights.file)).expanduser().absolute().is_relative_to(data_root.absolute())


class Bars:
    """A progress bar for each file or dataset in the making."""

    def __init__(self) -> None:
        self._bars: dict[str, tqdm] = {}

    def __enter__(self) -> "Bars":
        return self

    def __exit__(self, *_: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self._bars:
            self._bars[name] = tqdm(total=total, desc=name, unit_scale=True, mininterval=2)
        bar = self._bars[name]
        bar.total = total
        bar.update(done - bar.n)
