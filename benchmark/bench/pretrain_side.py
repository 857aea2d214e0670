"""One network under one strategy on all folds: as the stages train it, and as a plain loop does.

Both sides start from the same weights, take the same rows in the same order, and stop by the same rule; dropout alone
draws other numbers. The plain loop is what one writes from the paper: for every fold the whole network runs in every
step, on batches of 64, with Adam; what is fixed gets no gradients.
"""

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.audio.cepstra import Standardizer
from benchmark.embeddings.pretrained import FEATURES, MODELS
from benchmark.embeddings.trainable import Prepared, Trainable
from benchmark.metrics.folds import Split, make_splits
from benchmark.models.freezing import Freezable
from benchmark.training.randomness import derived_seed, epoch_order
from benchmark.training.settings import TrainSettings
from benchmark.training.transfer import Transferred, posteriors, stems, transfer

NETWORKS = {
    "dnn-mel": ("dnn", "mel128"),
    "swishnet-slim-mfcc": ("swishnet-slim", "mfcc22"),
    "swishnet-slim-mel": ("swishnet-slim", "mel128"),
    "vgg-like-mel": ("vgg-like", "mel128"),
    "ina-kc-mfcc": ("ina-kc", "mfcc21"),
    "ina-kc-mel": ("ina-kc", "mel128"),
}
STRATEGIES = ("frozen", "partial", "full", "scratch")
FOLDS = 5
_POINTS = {"frozen": "FZ", "partial": "IN", "full": "FT"}
_CLASSES = 2


@dataclass(frozen=True)
class Share:
    """A network under a strategy, all folds.

    Attributes:
        network: one of `NETWORKS`.
        strategy: one of `STRATEGIES`.
        clips: number of made inputs.
        settings: of the training.
        plain: whether it is the plain loop.
        threads: of PyTorch.
    """

    network: str
    strategy: str
    clips: int
    settings: TrainSettings
    plain: bool
    threads: int = 1


@dataclass(frozen=True)
class Taken:
    """What a share took: seconds of the clock and of the processor; test accuracy and epochs of each fold."""

    wall: float
    cpu: float
    scores: tuple[float, ...]
    epochs: tuple[int, ...]


def measure(share: Share) -> Taken:
    """Train one network under one strategy on all folds."""
    torch.set_num_threads(share.threads)
    inputs, labels, trainable = made_task(share.network, share.clips)
    splits = make_splits([str(i) for i in range(share.clips)], labels, None, "stratified", FOLDS)
    # Imports and the first call of a kernel are not the training's.
    with torch.no_grad():
        trainable.pretrained().eval().embed(inputs[:64])
    wall, cpu = time.perf_counter(), time.process_time()
    if share.plain:
        scores, epochs = _plain(trainable, inputs, labels, splits, share)
    elif share.strategy == "frozen":
        scores, epochs = _frozen(trainable, inputs, labels, splits, share)
    else:
        outcomes = transfer(trainable, inputs, labels, splits, share.strategy, _CLASSES, share.settings)
        scores = [_accuracy(o.posterior, labels[s.test]) for o, s in zip(outcomes, splits, strict=True)]
        epochs = [outcome.fitted.epochs for outcome in outcomes]
    return Taken(time.perf_counter() - wall, time.process_time() - cpu, tuple(scores), tuple(epochs))


def made_task(network: str, clips: int) -> tuple[Tensor, np.ndarray, Trainable]:
    """Inputs (n, T, F) of two classes that overlap, their labels (n,), and a random network as a pretrained one."""
    model_name, features = NETWORKS[network]
    model = MODELS[model_name]
    size, bands = model.patches[features][0], FEATURES[features].build().size
    generator = torch.Generator().manual_seed(0)
    labels = np.arange(clips) % _CLASSES
    inputs = torch.randn(clips, size, bands, generator=generator) * 10 - 30
    pattern = torch.randn(bands, generator=generator)
    inputs += torch.from_numpy(labels * 2.0 - 1).float()[:, None, None] * pattern * 1.5
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = Prepared(model.build(bands, _CLASSES), Standardizer.fit(inputs.flatten(0, 1)), model.channels_first)
        _settle(first, inputs)

    def fresh(classes: int, training: Tensor) -> Freezable:
        return Prepared(model.build(bands, classes), Standardizer.fit(training.flatten(0, 1)), model.channels_first)

    return inputs, labels, Trainable(1, first.dim, lambda *_: inputs, lambda: copy.deepcopy(first), fresh)


def _settle(net: nn.Module, inputs: Tensor) -> None:
    """Give batch normalisations the statistics of the inputs, as a pretrained network has them."""
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(inputs[:128])
    net.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _frozen(
    trainable: Trainable, inputs: Tensor, labels: np.ndarray, splits: list[Split], share: Share
) -> tuple[list[float], list[int]]:
    """The frozen strategy as the stages run it: vectors once, then the mlp probe on all folds together."""
    from benchmark.config.schema_probe import MlpSettings
    from benchmark.probes.data import FrameTable
    from benchmark.probes.run import run_probe

    net = trainable.pretrained().eval()
    with torch.no_grad():
        vectors = torch.cat([net.rest(part) for part in stems(net, inputs, "cpu").split(256)]).numpy()
    table = FrameTable.from_clips(list(vectors[:, None]), vectors)
    settings = MlpSettings(max_epochs=share.settings.max_epochs, patience=share.settings.patience)
    result = run_probe(table, labels, splits, "mlp", settings)
    return result.scores["file"]["accuracy"], [fold.chosen["epochs"] for fold in result.folds]


def _plain(
    trainable: Trainable, inputs: Tensor, labels: np.ndarray, splits: list[Split], share: Share
) -> tuple[list[float], list[int]]:
    """Test accuracy of each fold at its best epoch, and its epochs."""
    targets = torch.from_numpy(labels)
    scores, epochs = [], []
    for fold, split in enumerate(splits):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(0, fold, 0))
            net = _network(trainable, inputs[split.train], share)
        optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], share.settings.lr)
        best, best_epoch, epoch, kept = -1.0, 0, 0, {}
        while epoch < share.settings.max_epochs and epoch - best_epoch < share.settings.patience:
            net.train()
            order = epoch_order(derived_seed(0, fold, 1), epoch, torch.from_numpy(split.train), share.settings.batch)
            for rows in order:
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(inputs[rows]), targets[rows]).backward()
                optimiser.step()
            epoch += 1
            score = _accuracy(posteriors(net, inputs, split.valid, "cpu"), labels[split.valid])
            if score > best:
                best, best_epoch, kept = score, epoch, copy.deepcopy(net.state_dict())
        net.load_state_dict(kept)
        scores.append(_accuracy(posteriors(net, inputs, split.test, "cpu"), labels[split.test]))
        epochs.append(epoch)
    return scores, epochs


def _network(trainable: Trainable, training: Tensor, share: Share) -> nn.Module:
    if share.strategy == "scratch":
        return trainable.fresh(_CLASSES, training)
    pretrained = trainable.pretrained()
    pretrained.freeze(_POINTS[share.strategy])
    net = Transferred(pretrained, trainable.dim, share.settings.hidden, _CLASSES, behind_stem=False)
    if share.strategy == "frozen":
        # The probe standardises vectors too.
        with torch.no_grad():
            vectors = torch.cat([pretrained.eval().embed(part) for part in training.split(256)])
        std, mean = torch.std_mean(vectors, dim=0, correction=0)
        net.head.insert(0, Standardizer(mean, torch.where(std > 0, std, 1.0)))
    return net


def _accuracy(posterior: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(posterior.argmax(1) == labels))
