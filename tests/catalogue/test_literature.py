"""The catalogue against the papers: which tasks there are, how they are scored, how much data there are."""

import re

import numpy as np
import pytest

from tests.catalogue.stage import catalogue, tasks_of

# HARES, Table 1 and Appendix A: task -> domain, kind, metric, classes, and whether the official parts are public.
HARES = {
    "audioset": ("environment", "multilabel", "map", None),
    "birdsong": ("environment", "multiclass", "accuracy", 2),
    "tut18": ("environment", "multiclass", "accuracy", 10),
    "esc50": ("environment", "multiclass", "accuracy", 50),
    "speech-commands-v1": ("speech", "multiclass", "accuracy", 12),
    "speech-commands-v2": ("speech", "multiclass", "accuracy", 35),
    "fluent-speech-commands": ("speech", "slots", "accuracy", None),
    "voxforge": ("speech", "multiclass", "accuracy", 6),
    "voxceleb": ("speech", "multiclass", "accuracy", None),
    "nsynth-instrument": ("music", "multiclass", "accuracy", 11),
    "nsynth-pitch": ("music", "multiclass", "accuracy", None),
    "magnatagatune": ("music", "multilabel", "map", 50),
}

# Table 1 of Kehling & Cano. They list 764 of MUSAN's 930 files of noise without saying which, and no noise of Marolt19.
KEHLING = {
    "musan": {"music": 660, "speech": 426, "noise": 930},
    "gtzan-music-speech": {"music": 64, "speech": 64},
    "marolt19": {"solo": 1512, "choir": 1618, "instrumental": 2960, "speech": 1284},
    "acmus-yt": {"speech": 40, "music": 35, "acappella": 40},
    "slaney-scheirer": {"music": 101, "speech": 80},
    "acmus-vf": {"male": 46, "female": 24},
    "acmus-if": {"1": 43, "2": 42, "3": 43, "4": 21, "5+": 36},
}

# HEAR's nineteen, of which beehives come in two folds.
HEAR = {
    "beehive-states-fold0": "auroc", "beehive-states-fold1": "auroc", "beijing-opera": "accuracy", "crema-d": "accuracy",
    "dcase2016-task2": "onset_f_200ms", "esc-50": "accuracy", "fsd50k": "map", "gtzan-genre": "accuracy",
    "gtzan-music-speech": "accuracy", "gunshot-triangulation": "accuracy", "libricount": "accuracy",
    "maestro": "onset_f_50ms", "mridangam-stroke": "accuracy", "mridangam-tonic": "accuracy",
    "nsynth-pitch-50h": "accuracy", "nsynth-pitch-5h": "accuracy", "speech-commands-5h": "accuracy",
    "speech-commands-full": "accuracy", "vocal-imitations": "map", "vox-lingua-top10": "accuracy",
}  # fmt: skip


def test_the_twelve_tasks_of_hares(staged):
    tasks = {name.removeprefix("hares-"): task for name, task in catalogue().tasks.items() if name.startswith("hares-")}
    assert sorted(tasks) == sorted(HARES)
    for name, (domain, kind, metric, classes) in HARES.items():
        task = tasks[name]
        assert (task.domain, task.kind, task.metrics[0]) == (domain, kind, metric), name
        assert task.reference is not None and task.reference.verified, name
        if classes is not None and task.classes is not None:
            assert len(task.classes) == classes, name
    # The score of the paper is the mean of the twelve.
    assert np.mean([task.reference.value for task in tasks.values()]) == pytest.approx(74.6, abs=0.05)
    assert np.mean([task.reference.values["SF ResNet50"] for task in tasks.values()]) == pytest.approx(71.7, abs=0.05)


def test_the_metrics_of_hear():
    tasks = {name.removeprefix("hear-"): task for name, task in catalogue().tasks.items() if name.startswith("hear-")}
    assert {name: task.metrics[0] for name, task in tasks.items()} == HEAR
    for task in tasks.values():
        assert task.folds.kind == "official"
        assert task.reference is not None and task.reference.system == "OpenL3"


@pytest.mark.parametrize("name", KEHLING)
def test_the_counts_of_kehling_and_cano_are_expected(name):
    expect = catalogue().datasets[name].expect
    assert expect.classes == KEHLING[name]
    assert expect.clips in (None, sum(KEHLING[name].values()))
    assert any(task.name.startswith("kehling-") for task in tasks_of(name))


def test_every_real_task_has_a_number_of_the_literature_or_says_why_it_has_none():
    for task in catalogue().tasks.values():
        if catalogue().dataset_of(task).rendered is not None:
            assert task.reference is None, f"{task.name}: nobody else has scored what is rendered here"
            continue
        reference = task.reference
        assert reference is not None, f"{task.name}: give a reference, or one whose `paper` is `none: why`"
        reason = reference.paper.startswith("none: ")
        assert (reference.value is None) == reason, task.name
        if reason:
            assert len(reference.paper) > 40 and not reference.values and reference.system is None, task.name
        else:
            assert reference.system and reference.metric, task.name


def test_numbers_are_in_the_terms_of_their_papers_metrics():
    for task in catalogue().tasks.values():
        if (reference := task.reference) is not None and reference.metric.lower().startswith(
            ("accuracy", "auc", "map")
        ):
            numbers = [value for value in (reference.value, *reference.values.values()) if value is not None]
            # Per cent, as the tables print them; 0.9 would stand for less than one in a hundred.
            assert all(1 < value <= 100 for value in numbers), task.name


def test_speakers_of_a_mixture_are_scored_in_any_order_and_instruments_in_theirs():
    for task in catalogue().tasks.values():
        if task.kind == "separation":
            alike = all(re.fullmatch(r"(s|speaker)\d", source) for source in task.sources)
            assert (task.order == "any") == alike, task.name


def test_every_dataset_says_its_licence_and_can_be_cited():
    for config in catalogue().datasets.values():
        if config.rendered is None:
            assert config.licence and (config.citation or config.bibtex), config.name
