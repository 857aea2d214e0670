"""The tasks of HEAR 2021 as hear-preprocess writes them, one description and one writer for all."""

import json
from collections.abc import Sequence

from tests.catalogue.miniature import Folder, Miniature, miniature, sound, tar_of
from tests.catalogue.stage import catalogue

PARTS = ("train", "valid", "test")


def task_folder(
    parts: Sequence[str],
    labels: Sequence[str],
    each: int = 4,
    rate: str = "48000",
    prediction: str = "multiclass",
    events: bool = False,
) -> Folder:
    """Files of a task's folder: `each` sounds of every label in every part."""
    about = {"task_name": "t", "embedding_type": "event" if events else "scene", "prediction_type": prediction}
    files = {
        "task_metadata.json": json.dumps({**about, "splits": list(parts), "mode": "full"}, indent=1).encode(),
        "labelvocabulary.csv": "".join(f"{i},{name}\n" for i, name in enumerate(("label", *labels), -1)).encode(),
    }
    for part in parts:
        told: dict[str, list] = {}
        for c, label in enumerate(labels):
            for i in range(each):
                name = f"{label}-{part}-{i}.wav"
                other = labels[(c + i) % len(labels)]
                told[name] = [label]
                if prediction == "multilabel":
                    told[name] = sorted({label, other})
                if events:
                    told[name] = [
                        {"label": one, "start": 100.0 + 50 * k, "end": 300.0}
                        for k, one in enumerate({label: 0, other: 0})
                    ]
                files[f"{rate}/{part}/{name}"] = sound(label, (part, i), seconds=0.5 if events else 0.25)
        files[f"{part}.json"] = json.dumps(told, indent=1).encode()
        # What is left there of the making.
        files[f"labelcount_{part}.json"] = b"{}"
    return files


def folds(count: int) -> list[str]:
    return [f"fold{i:02d}" for i in range(count)]


TASKS = {
    "beijing-opera": task_folder(folds(5), ("bangu", "daluo", "naobo", "xiaoluo")),
    "mridangam-stroke": task_folder(folds(5), ("bheem", "cha", "thi")),
    "mridangam-tonic": task_folder(folds(5), ("b", "c", "csh")),
    "crema-d": task_folder(folds(5), ("ANG", "DIS", "SAD")),
    "esc-50": task_folder(folds(5), ("dog", "rain", "sneezing")),
    "fsd50k": task_folder(PARTS, ("Bark", "Rain", "Speech"), prediction="multilabel"),
    "gtzan-genre": task_folder(folds(10), ("blues", "jazz"), 2),
    "gtzan-music-speech": task_folder(folds(10), ("music", "speech"), 2),
    "libricount": task_folder(folds(5), ("0", "1", "10")),
    "vocal-imitations": task_folder(folds(3), ("001Animal_a.wav", "002Human_b.wav")),
    "nsynth-pitch-50h": task_folder(PARTS, ("21", "60", "108")),
    "nsynth-pitch-5h": task_folder(PARTS, ("21", "60", "108"), rate="16000"),
    "speech-commands-full": task_folder(PARTS, ("yes", "no", "_silence_", "_unknown_")),
    "speech-commands-5h": task_folder(PARTS, ("yes", "no", "_silence_", "_unknown_"), rate="22050"),
    "dcase2016-task2": task_folder(PARTS, ("cough", "knock"), prediction="multilabel", events=True),
    "beehive-states-fold0": task_folder(PARTS, ("NOQUEEN", "QUEEN")),
    "beehive-states-fold1": task_folder(PARTS, ("NOQUEEN", "QUEEN")),
    "gunshot-triangulation": task_folder(folds(7), ("mic1", "mic2", "mic3", "mic4"), 1),
    "maestro": task_folder(folds(5), ("60", "64"), 2, prediction="multilabel", events=True),
    "vox-lingua-top10": task_folder(folds(5), ("da", "en", "fi")),
}


def _register(name: str, files: Folder) -> None:
    """As an archive where HEAR's record has one, else as the folder that a person has."""

    @miniature(f"hear-{name}")
    def make() -> Miniature:
        config = catalogue().datasets[f"hear-{name}"]
        (source,), expect = config.sources, {"clips": sum(path.endswith(".wav") for path in files)}
        if source.manual is not None:
            return Miniature({str(source.file): files}, expect)
        top = f"hear-2021.0.6/tasks/{str(config.items[0].hear).removeprefix('**/')}"
        return Miniature({str(source.file): tar_of({f"{top}/{path}": body for path, body in files.items()})}, expect)


for _name, _files in TASKS.items():
    _register(_name, _files)
