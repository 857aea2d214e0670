"""A small project folder over sounds made here, for the tests of the pipeline."""

import shutil
from pathlib import Path

import numpy as np
import soundfile
import yaml

ROOT = Path(__file__).resolve().parents[2]

RATE = 16000


def make_sounds(folder: Path, classes: int = 3, clips: int = 10, seconds: float = 0.6, seed: int = 0) -> None:
    """Noisy tones, a class a pitch and a subfolder."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(RATE * seconds)) / RATE
    for c in range(classes):
        (folder / f"class{c}").mkdir(parents=True, exist_ok=True)
        for i in range(clips):
            pitch = 300 * 2**c * rng.uniform(0.7, 1.4)
            sound = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.1 * rng.standard_normal(len(t))
            soundfile.write(folder / f"class{c}" / f"{i:02}.wav", sound.astype(np.float32), RATE, subtype="PCM_16")


def make_project(root: Path, tasks: int = 2, embeddings: int = 2) -> Path:
    """A project with its own tasks and embeddings, and the pipeline of the repository."""
    for name in ("tasks", "embeddings", "datasets", "separators"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for i in range(tasks):
        make_sounds(root / "sounds" / f"set{i}", seed=i)
        write(
            root / "tasks" / f"tones{i}.yaml",
            {
                "name": f"tones{i}",
                "domain": "environment",
                "dataset": {"folder": str(root / "sounds" / f"set{i}")},
                "folds": {"kind": "stratified", "k": 5},
                "levels": ["file", "frame"],
                "metrics": ["accuracy", "macro_f1"],
            },
        )
    for i in range(embeddings):
        write(
            root / "embeddings" / f"mfcc{i}.yaml",
            {"name": f"mfcc{i}", "family": "handcrafted", "model": "mfcc", "args": {"window": 0.1 * (i + 1)}},
        )
    write(
        root / "params.yaml",
        {
            "profile": "smoke",
            "profiles": {"smoke": {}},
            "seed": 0,
            "device": "cpu",
            "data": {"root": "data"},
            "extract": {"shard_clips": 5},
            "probe": {"logistic": {"C": [0.1, 1.0]}},
            "training": {},
            "engine": {"workers": 2},
        },
    )
    (root / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    # DVC looks at the code here; what runs is the installed package.
    shutil.copytree(ROOT / "benchmark", root / "benchmark", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def write(path: Path, data: dict) -> None:
    """Write a YAML file, and its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data))


def edit(path: Path, **changes) -> None:
    """Change keys of a YAML file."""
    write(path, {**yaml.safe_load(path.read_text()), **changes})
