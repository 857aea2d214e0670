"""What the tables of Kehling & Cano show besides runs: the data that are here, and the embeddings that have none."""

from collections import Counter

from benchmark.audio.io import bits_per_sample, probe
from benchmark.embeddings.weights import is_here
from benchmark.engine.items import task_items
from benchmark.engine.plan import Project
from benchmark.errors import ClipError, UserError
from benchmark.report.kehling.paper import paper
from benchmark.report.kehling.section import KehlingData
from benchmark.report.kehling.table1 import AudioFacts


def kehling_data(project: Project) -> KehlingData:
    """Facts of the selected tasks of the paper, and why its embeddings have no runs; reads headers of files alone."""
    wanted = paper().target_tasks()
    of_paper = {facts.dataset: facts for facts in paper().table1}
    here, rendered = {}, {}
    for task in project.tasks:
        if task.name not in wanted:
            continue
        dataset = project.catalogue.dataset_of(task).name
        facts = _facts(project, task)
        if facts is None:
            continue
        if dataset not in of_paper:
            rendered[task.name] = facts
        elif of_paper[dataset].task in (None, task.name):
            here[dataset] = facts
    return KehlingData(_absent(project), here, rendered)


def _absent(project: Project) -> dict[str, str]:
    names = {name for model in paper().models for name in [*model.mel, *model.mfcc]}
    configs = [project.catalogue.embeddings[name] for name in sorted(names) if name in project.catalogue.embeddings]
    return {
        config.name: "not pretrained yet" if config.pretrain else "weights not here"
        for config in configs
        if not is_here(config.weights)
    }


def _facts(project: Project, task) -> AudioFacts | None:
    """Facts of a task's items; None where its data are not here or cannot be read, which other stages report."""
    try:
        clips = project.clips(project.catalogue.dataset_of(task).name)
        items = task_items(task, clips, str(project.catalogue.task_file(task)))
        rates: Counter[int] = Counter()
        bits: Counter[int] = Counter()
        seconds = 0.0
        for path in sorted({clip.path for clip in items.clips}):
            rate, _, frames = probe(path)
            rates[rate] += 1
            if (depth := bits_per_sample(path)) is not None:
                bits[depth] += 1
            parts = [(clip.start, clip.end) for clip in items.clips if clip.path == path]
            seconds += sum((frames / rate if end is None else end) - (start or 0.0) for start, end in parts)
    except (UserError, ClipError):
        return None
    classes = Counter(items.classes[label] for label in items.labels)
    return AudioFacts(classes, rates, bits, seconds / 60)
