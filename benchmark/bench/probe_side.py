"""One side of the comparison of probes, as a process of its own: seconds and the score of each fold as JSON.

Run by the interpreter that has the package (`python probe_side.py SIDE TABLE.npz THREADS`), so it imports nothing of
Leveret unless the side is ours. Imports, reading and writing the table are not timed. THREADS 0 leaves every library
as it comes.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

PATH = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0]
RATES = [3.2e-3, 1e-3, 3.2e-4, 1e-4]
FRAMES = "ours, frames"


def main(side: str, path: str, threads: str, repeat: str) -> None:
    """Probe the table of `path` and print the result; the first of several runs is not counted."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.pop(name, None)
        if int(threads):
            os.environ[name] = threads
    warnings.simplefilter("ignore")
    # What a peer prints about its progress is not the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    import numpy as np

    with np.load(path) as table:
        features, labels, fold = table["features"], table["labels"], table["fold"]
    folds = int(fold.max()) + 1
    splits = []
    for test in range(folds):
        valid = (test + 1) % folds
        splits.append(
            [np.flatnonzero(part) for part in ((fold != test) & (fold != valid), fold == valid, fold == test)]
        )
    work = (
        _frames(path, labels, splits, int(threads))
        if side == FRAMES
        else SIDES[side](features, labels, splits, int(threads))
    )
    taken, scores = [], []
    for turn in range(int(repeat)):
        wall, cpu = time.perf_counter(), _cpu()
        scores = work()
        taken.append((time.perf_counter() - wall, _cpu() - cpu))
        if turn == 0 and int(repeat) > 1:
            taken.clear()
    wall, cpu = (statistics.median(times) for times in zip(*taken, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(
        json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "scores": [float(score) for score in scores]}), file=answer
    )


def _cpu() -> float:
    """CPU seconds of this process, its threads and its children that have ended."""
    return sum(os.times()[:4])


def _ours(probe: str, settings: str = "", **changes):
    def load(features, labels, splits, threads):
        import torch

        from benchmark.config import schema_probe
        from benchmark.metrics.folds import Split
        from benchmark.probes.data import FrameTable
        from benchmark.probes.run import run_probe

        if threads:
            torch.set_num_threads(threads)
        table = FrameTable(None, vectors=features)
        parts = [Split(*split) for split in splits]
        chosen = getattr(schema_probe, settings)(**changes) if settings else None
        if probe in schema_probe.PROTOCOLS:
            chosen = schema_probe.protocol_settings(probe)
        return lambda: run_probe(table, labels, parts, probe, chosen).scores["file"]["accuracy"]

    return load


def _frames(path, labels, splits, threads):
    """Frames of clips in a mapped file beside the table: a file's answer is the mean of its frames'."""
    import numpy as np
    import torch

    from benchmark.config.schema_probe import LogisticSettings
    from benchmark.metrics.folds import Split
    from benchmark.probes.data import FrameTable
    from benchmark.probes.run import run_probe

    if threads:
        torch.set_num_threads(threads)
    frames = np.load(Path(path).with_suffix(".npy"), mmap_mode="r")
    table = FrameTable.from_clips(np.split(frames, len(labels)))
    parts, settings = [Split(*split) for split in splits], LogisticSettings(C=PATH)
    levels = ("file", "frame")
    return lambda: run_probe(table, labels, parts, "logistic", settings, levels).scores["frame"]["accuracy"]


def _scikit_learn(name: str, jobs: bool = False):
    def load(features, labels, splits, threads):
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, PredefinedSplit
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if name == "logistic":
            model, values = LogisticRegression(max_iter=1000), {"model__C": PATH}
        else:
            model, values = MLPClassifier((128,), max_iter=200), {"model__learning_rate_init": RATES}

        def pipeline():
            steps = make_pipeline(StandardScaler(), model)
            steps.steps[1] = ("model", model)
            return steps

        def work():
            scores = []
            for train, valid, test in splits:
                rows = np.concatenate([train, valid])
                parts = PredefinedSplit(np.repeat([-1, 0], [len(train), len(valid)]))
                search = GridSearchCV(pipeline(), values, cv=parts, refit=False, n_jobs=-1 if jobs else None)
                search.fit(features[rows], labels[rows])
                best = pipeline().set_params(**search.best_params_).fit(features[train], labels[train])
                scores.append(best.score(features[test], labels[test]))
            return scores

        return work

    return load


def _hear(features, labels, splits, threads):
    """hear-eval-kit's own runner of predictions on a folder in its own layout."""
    import logging
    import pickle

    import numpy as np
    import torch

    # A name that NumPy 2 took away, and that the last Lightning which hear-eval-kit runs on still uses.
    np.inf = np.inf
    from heareval.predictions.task_predictions import task_predictions

    # Checkpoints hold whole objects, which newer versions of PyTorch refuse by default; these are its own.
    load = torch.load
    torch.load = lambda *arguments, **named: load(*arguments, **{**named, "weights_only": False})
    if threads:
        torch.set_num_threads(threads)
    folder = Path(tempfile.mkdtemp(prefix="leveret-bench-hear-"))
    names = [f"fold{number:02}" for number in range(len(splits))]
    for name, (_, _, test) in zip(names, splits, strict=True):
        features[test].tofile(folder / f"{name}.embeddings.npy")
        (folder / f"{name}.embedding-dimensions.json").write_text(json.dumps(features[test].shape))
        (folder / f"{name}.target-labels.pkl").write_bytes(pickle.dumps([[str(label)] for label in labels[test]]))
    classes = sorted({str(label) for label in labels})
    lines = ["idx,label", *(f"{index},{label}" for index, label in enumerate(classes))]
    (folder / "labelvocabulary.csv").write_text("\n".join(lines) + "\n")
    metadata = {
        "task_name": "bench", "embedding_type": "scene", "prediction_type": "multiclass", "split_mode": "new_split_kfold",
        "splits": names, "evaluation": ["top1_acc"],
    }  # fmt: skip
    (folder / "task_metadata.json").write_text(json.dumps(metadata))

    def work():
        os.chdir(folder)
        task_predictions(
            folder, features.shape[1], 8, gpus=None, in_memory=True, deterministic=True, grid="default",
            logger=logging.getLogger("heareval"),
        )  # fmt: skip
        found = json.loads((folder / "test.predicted-scores.json").read_text())
        return [found[name]["test_top1_acc"] for name in names]

    return work


def _xares(features, labels, splits, threads):
    """X-ARES's own trainer and network; its checkpoint is chosen on our validation part, not on the test part."""
    import numpy as np
    import torch
    from xares.models.simple import Mlp
    from xares.trainer import Trainer

    if threads:
        torch.set_num_threads(threads)
    x, y = torch.from_numpy(features)[..., None], torch.from_numpy(np.asarray(labels))

    def batches(rows, shuffle):
        # As its reader of archives gives them: (frames, number of frames), label, name.
        items = [((x[row], torch.tensor(1)), y[row], "") for row in rows]
        return torch.utils.data.DataLoader(items, 32, shuffle=shuffle)

    def work():
        scores = []
        for train, valid, test in splits:
            with tempfile.TemporaryDirectory() as folder:
                net = Mlp(features.shape[1], int(labels.max()) + 1)
                trainer = Trainer(net, device=torch.device("cpu"), lr=1e-3, max_epochs=10, ckpt_dir=folder)
                trainer.run(batches(train, True), batches(valid, False))
                trainer.load_state_dict(torch.load(Path(folder) / trainer.ckpt_name))
                scores.append(trainer.run_inference(batches(test, False)))
        return scores

    return work


SIDES = {
    "ours, logistic": _ours("logistic", "LogisticSettings", C=PATH),
    "ours, ridge": _ours("ridge"),
    "ours, kNN": _ours("knn"),
    "ours, MLP grid": _ours(
        "head", "HeadSettings", hidden_layers=[1], hidden_dim=128, hidden_norm="none", dropout=0.0, init=["default"],
        lr=RATES, batch=200, epochs=200, check_every=1, patience=10, scaling="standard",
    ),
    "ours, hear": _ours("hear"),
    "ours, xares": _ours("xares"),
    "scikit-learn, logistic": _scikit_learn("logistic"),
    "scikit-learn, logistic, jobs": _scikit_learn("logistic", jobs=True),
    "scikit-learn, MLP grid": _scikit_learn("mlp"),
    "hear-eval-kit": _hear,
    "X-ARES": _xares,
}  # fmt: skip

if __name__ == "__main__":
    main(*sys.argv[1:])
