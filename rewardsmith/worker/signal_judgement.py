"""Judgement of a survey's signals by recorded values: which are no numbers in some steps, and which copy the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.worker.envs.catalogue import (
    EnvironmentSurvey,
    describe_unreliable,
    read_info_key,
    withhold_signals,
)
from rewardsmith.worker.reward_copies import is_reward_copy, is_same_number, names_physical_quantity

Array = NDArray[np.float64]
Values = Mapping[str, Array]
"""Name of each signal to its recorded values (n, *shape)."""

COPY = "equals the environment's reward, up to a factor, a constant and limits"


def judge_signals(
    survey: EnvironmentSurvey, spec: EnvSpec, values: Values, reward: Array, faults: Mapping[str, str]
) -> EnvironmentSurvey:
    """Return the survey without unreliable signals, and with copies of the reward as privileged signals.

    Args:
        survey: what the environment offers.
        spec: the environment as its card states it: the card's signals stay, with a remark.
        values: of the survey's signals, after each step.
        reward: (n,), the environment's; NaN where it gave no number.
        faults: see `BatchedEnv.faults`.
    """
    survey = _drop_unreliable(survey, spec, faults)
    return _withhold_copies(survey, spec, values, reward)


def _drop_unreliable(survey: EnvironmentSurvey, spec: EnvSpec, faults: Mapping[str, str]) -> EnvironmentSurvey:
    """Leave out the entries of `info` that were no number in some step; a card's get a remark."""
    of_card = {signal.name for signal in spec.signals}
    reasons, remarks = dict[str, str](), list[str]()
    for signal in survey.signals:
        fault = faults.get(read_info_key(signal) or "")
        if fault is None:
            continue
        reason = describe_unreliable(fault)
        if signal.name in of_card:
            remarks.append(
                f"signal {signal.name!r} of the card, {_describe(signal)}, is {reason}: a program that reads"
                " it fails there"
            )
        else:
            reasons[signal.name] = reason
            remarks.append(f"{_describe(signal)} is left out: {reason}")
    dropped = withhold_signals(survey, reasons, drop=True)
    return replace(dropped, remarks=(*survey.remarks, *remarks))


def _withhold_copies(survey: EnvironmentSurvey, spec: EnvSpec, values: Values, reward: Array) -> EnvironmentSurvey:
    """Make privileged signals of those that copy the reward; see `reward_copies` for the rule."""
    of_card = {signal.name for signal in spec.signals}
    reasons, remarks = dict[str, str](), list[str]()
    for signal in survey.signals:
        is_reported = signal.name in survey.reported or (signal.name in of_card and read_info_key(signal) is not None)
        if not is_reported or not _copies_reward(values[signal.name], reward):
            continue
        what = _describe(signal)
        if signal.name in of_card:
            remarks.append(f"signal {signal.name!r} of the card, {what}, {COPY}: consider [privileged_signals] for it")
        elif _is_state(signal, values):
            remarks.append(f"{what} {COPY}; it stays a signal, as it is a plain quantity of the state")
        else:
            reasons[signal.name] = f"{COPY}: only a fitness may name it"
            remarks.append(f"{what} {COPY}: it is a privileged signal, which only a fitness may name")
    withheld = withhold_signals(survey, reasons)
    return replace(withheld, remarks=(*survey.remarks, *remarks))


def _copies_reward(values: Array, reward: Array) -> bool:
    columns = values.reshape(len(values), -1)
    return any(is_reward_copy(column, reward) for column in columns.T)


def _is_state(signal: Signal, values: Values) -> bool:
    """Return whether a signal is a plain quantity of the state, by its key or because the observation holds it too."""
    key = read_info_key(signal)
    if names_physical_quantity(signal.name if key is None else key):
        return True
    if key is None or "obs" not in values:
        return False
    columns = values[signal.name].reshape(len(values[signal.name]), -1)
    return all(is_same_number(column, values["obs"]) for column in columns.T)


def _describe(signal: Signal) -> str:
    key = read_info_key(signal)
    return f"the observation's entry {signal.name!r}" if key is None else f"info[{key!r}]"
