"""Behaviour descriptors as people write them, in a task card ([behaviour]) or with `--behaviour`, and their limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import BehaviourDescriptor, Signal
from rewardsmith.contract.records.behaviour import DEFAULT_BINS

if TYPE_CHECKING:
    from rewardsmith.spec.task_cards import Task

MAX_DESCRIPTORS = 2
"""An archive of three would have no picture, and more cells than a search has programs."""
MAX_BINS = 50
FORM = "NAME=EXPRESSION:LOW:HIGH or NAME=EXPRESSION:LOW:HIGH:BINS, such as 'speed=mean(x_velocity):0:5:10'"


def parse_descriptor(text: str) -> BehaviourDescriptor:
    """Parse a descriptor of the command line.

    >>> parse_descriptor("speed=mean(x_velocity[10:]):0:5")
    BehaviourDescriptor(name='speed', expression='mean(x_velocity[10:])', low=0.0, high=5.0, bins=10)

    Raises:
        TaskError: if it has another form.
    """
    name, equals, rest = text.partition("=")
    parts = rest.split(":")
    # Slices of the expression have colons too: the numbers are at the end.
    count = 3 if len(parts) > 3 and all(map(_is_number, parts[-3:])) else 2
    if not equals or len(parts) <= count or not all(map(_is_number, parts[-count:])):
        raise TaskError(f"--behaviour {text!r}: write {FORM}")
    low, high, *bins = parts[-count:]
    if bins and not bins[0].strip().isdecimal():
        raise TaskError(f"--behaviour {text!r}: BINS is {bins[0]!r}; a whole number from 2 to {MAX_BINS} is allowed")
    expression = ":".join(parts[:-count]).strip()
    return BehaviourDescriptor(
        name.strip(), expression, float(low), float(high), int(bins[0]) if bins else DEFAULT_BINS
    )


def set_descriptors(task: Task, texts: Sequence[str]) -> Task:
    """Return the task with the descriptors of the command line in place of its card's; unchanged where there are none.

    Raises:
        TaskError: if one has another form, or is refused by `check_descriptors`.
    """
    if not texts:
        return task
    descriptors = tuple(parse_descriptor(text) for text in texts)
    check_descriptors(descriptors, {metric.name: metric.expression for metric in task.metrics}, "--behaviour")
    return replace(task, behaviour=descriptors)


def check_descriptors(descriptors: Sequence[BehaviourDescriptor], metrics: Mapping[str, str], where: str) -> None:
    """Make sure that descriptors can span an archive, whatever the environment.

    Args:
        descriptors: of one task.
        metrics: the expressions of the task's metrics by name; both are recorded in one table.
        where: they were written, for the message.

    Raises:
        TaskError: if there are too many, a name or a range is wrong, or an expression does not parse.
    """
    if len(descriptors) > MAX_DESCRIPTORS:
        raise TaskError(f"{where}: {len(descriptors)} behaviour descriptors; 1 or {MAX_DESCRIPTORS} are allowed")
    names = [descriptor.name for descriptor in descriptors]
    for descriptor in descriptors:
        fault = _find_fault(descriptor, names, metrics)
        if fault:
            raise TaskError(f"{where}: behaviour {descriptor.name!r}: {fault}")


def check_descriptor_signals(
    descriptors: Iterable[BehaviourDescriptor], signals: Sequence[Signal], privileged: Iterable[str]
) -> None:
    """Make sure that descriptors give numbers on an episode of these signals.

    Args:
        descriptors: of a task.
        signals: that programs may read; the designer is told the descriptors, so that they name no others.
        privileged: names of the signals that programs may not read.

    Raises:
        FitnessError: if one names another signal, or does not come to one number; in one line.
    """
    hidden = set(privileged)
    for descriptor in descriptors:
        parsed = Fitness.parse(descriptor.expression)
        try:
            secret = next((name for name in parsed.names if name in hidden), None)
            if secret:
                raise FitnessError(f"{secret!r} is privileged, and the designer is told the descriptors; name a signal")
            parsed.try_on(signals)
        except FitnessError as error:
            raise FitnessError(f"behaviour {descriptor.name!r} = {descriptor.expression}: {error.cause}") from error


def _find_fault(descriptor: BehaviourDescriptor, names: Sequence[str], metrics: Mapping[str, str]) -> str | None:
    """Return the fault of one descriptor of several; None if it has none."""
    name, low, high = descriptor.name, descriptor.low, descriptor.high
    if not name.isidentifier() or name == "fitness" or names.count(name) > 1:
        return "choose another name: one of letters, digits and _ that stands once and is not 'fitness'"
    if metrics.get(name, descriptor.expression) != descriptor.expression:
        return f"the task has a metric of this name with another expression, {metrics[name]}; choose another name"
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        return f"low = {low:g} and high = {high:g}; low must be below high, and both finite"
    if not 2 <= descriptor.bins <= MAX_BINS:
        return f"bins = {descriptor.bins}; 2 to {MAX_BINS} are allowed"
    try:
        Fitness.parse(descriptor.expression)
    except FitnessError as error:
        return error.cause
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
