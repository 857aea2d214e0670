"""Training of many members, from the first step or from where it was interrupted."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmark.training.engines import Alone, Engine, Stack
from benchmark.training.members import Course, Fitted, Member, accuracy, set_norm_momentum
from benchmark.training.settings import TrainSettings
from benchmark.training.state import StateFile

Progress = Callable[[int, int, float], None]


def train(
    members: Sequence[Member],
    settings: TrainSettings,
    device: str = "cpu",
    saved: StateFile | None = None,
    progress: Progress | None = None,
) -> list[Fitted]:
    """Train every member until its validation accuracy has not risen for `patience` epochs; the best epoch counts.

    What a member comes out with depends on its own data, network and seed. Beside others in a stack sums are rounded
    otherwise, in the last place; one by one, the numbers are the same to the last bit.

    Args:
        members: of one architecture if they are stacked.
        settings: of the training.
        device: where.
        saved: file to go on from and to write to; the result is the same to the last bit however often the training
            is interrupted (CPU, same number of threads). It is removed at the end.
        progress: told member, epoch and validation accuracy at the end of each epoch.

    Raises:
        ValueError: a member has no training or no validation rows.
    """
    for number, member in enumerate(members):
        if not len(member.train) or not len(member.valid):
            raise ValueError(f"member {number} has no training or no validation rows")
        set_norm_momentum(member.net, settings)
    courses = [Course(member, settings.batch) for member in members]
    states = saved.read() if saved is not None else {}
    for number, course in enumerate(courses):
        if str(number) in states:
            course.restore(states[str(number)]["course"])
    for group in _groups(courses, settings.stacks_on(device)):
        _run(group, courses, settings, device, states, saved, progress)
    if saved is not None:
        saved.remove()
    return [course.fitted() for course in courses]


def _groups(courses: Sequence[Course], stacked: bool) -> list[list[int]]:
    """Numbers of the members that are trained together; in a stack, batches have one size."""
    waiting = [number for number, course in enumerate(courses) if not course.done]
    if not stacked:
        return [[number] for number in waiting]
    groups: dict[tuple[int, bool], list[int]] = defaultdict(list)
    for number in waiting:
        member = courses[number].member
        groups[min(courses[number].batch, len(member.train)), member.weights is None].append(number)
    return list(groups.values())


def _run(
    numbers: list[int],
    courses: Sequence[Course],
    settings: TrainSettings,
    device: str,
    states: dict[str, Any],
    saved: StateFile | None,
    progress: Progress | None,
) -> None:
    engine = _engine([courses[number].member for number in numbers], numbers, settings, device, states)
    alive = list(numbers)
    while alive:
        running = [courses[number] for number in alive]
        for _ in range(min(course.steps - course.step for course in running)):
            rows = torch.stack([course.order[course.step] for course in running])
            engine.step(rows, [course.epoch * course.steps + course.step for course in running])
            for course in running:
                course.step += 1
        for place, number in enumerate(alive):
            course = courses[number]
            if course.step == course.steps:
                member = course.member
                score = accuracy(engine.logits(place, member.valid), member.labels[member.valid])
                course.end_epoch(score, engine.state(place), settings)
                if progress is not None:
                    progress(number, course.epoch, score)
        # A file that shows a member in training shows it among those that are trained with it now.
        if saved is not None and (saved.is_due() or any(courses[number].done for number in alive)):
            _save(engine, alive, courses, states, saved)
        stay = [place for place, number in enumerate(alive) if not courses[number].done]
        if 0 < len(stay) < len(alive):
            engine.keep(stay)
        alive = [alive[place] for place in stay]


def _engine(
    members: list[Member], numbers: list[int], settings: TrainSettings, device: str, states: dict[str, Any]
) -> Engine:
    moments = []
    for member, number in zip(members, numbers, strict=True):
        if str(number) in states:
            member.net.load_state_dict(states[str(number)]["net"])
            moments.append(states[str(number)]["moments"])
    if settings.stacks_on(device):
        return Stack(members, settings, device, moments or None)
    return Alone(members[0], settings, device, moments[0] if moments else None)


def _save(
    engine: Engine, alive: Sequence[int], courses: Sequence[Course], states: dict[str, Any], saved: StateFile
) -> None:
    for place, number in enumerate(alive):
        course = courses[number].to_state()
        # What is finished is never trained on.
        going = {} if course["done"] else {"net": engine.state(place), "moments": engine.moments(place)}
        states[str(number)] = {"course": course, **going}
    saved.write(states)
