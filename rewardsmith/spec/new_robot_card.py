"""New task cards of robots: every option of the environment with what it is now, to be edited."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rewardsmith.contract.records import EnvSpec, Probe, Signal
from rewardsmith.spec.new_card import CARD_SIGNALS, quote_text, render_signal
from rewardsmith.spec.robot_files import MODEL_SUFFIXES
from rewardsmith.spec.robots import MENAGERIE

OMITTED_SOURCES = ("qpos[", "qvel[", "xquat[", "xvelp[", "xvelr[", "actuator_force[", "ten_velocity[")
"""Beginnings of the sources that a new card leaves out: there is one for each joint or body."""

CARD = """\
# A task card for a robot. Fill in the lines that say so; every other line can stay, change or go.
# Use it with: rewardsmith design "..." --env THIS_FILE.toml
text = "FILL IN: what the robot should do, in a sentence."
about = \"\"\"
{about}
\"\"\"
action = {action}
# FILL IN one number for an episode, which no program sees.
fitness = {fitness}
max_episode_steps = {limit}

# How the environment is made (docs/robots.md).
[robot]
model = {model}
# torque, position (a target around the start's pose) or delta (a change of the target)
action = {mode}
# the share of an actuator's range that an action of 1 adds
{scale}
control_hz = {control_hz}
# a keyframe of the model, or "" for its rest; each joint is off by at most start_noise, in rad or m
start = {start}
start_noise = {start_noise}
# what each episode draws: a joint, or x, y, z, yaw of a free joint
{start_ranges}
# what ends an episode, over the signals of the model; "" for the time limit alone
end = {end}

# Each episode draws from these ranges; with evaluation = true, evaluations do too.
# [randomisation]
# friction = [0.5, 1.2]
# mass = [0.9, 1.1]
# motor_strength = [0.8, 1.1]
# latency = [0, 1]
# pushes = [0.0, 0.5]
{randomisation}
# Metrics: further numbers for an episode, which are reported next to the fitness and never used for selection:
# [metrics]
# fell = {{ expression = "1 - survived", meaning = "share of episodes that the end condition ended" }}

# FILL IN names that say what they are, the signals that matter for the task first: a prompt lists all of these.
# The others are derived; see: rewardsmith envs describe THIS_FILE.toml
[signals]
{signals}

# Settings that suit the task:
# [search]
# env_steps = 500_000
"""


def render_robot_card(env: EnvSpec, probe: Probe, robot: str, folder: Path) -> str:
    """Return a card to fill in, as TOML.

    Args:
        env: the robot's environment.
        probe: what was found in it.
        robot: as the user named it.
        folder: of the card, from which a path in it starts.
    """
    options = {**probe.robot_options, **{key: value for key, value in env.kwargs.items() if value is not None}}
    names = [signal.name for signal in probe.signals]
    drawn = options.get("randomisation")
    return CARD.format(
        about=probe.about.replace("\\", "\\\\").replace('"""', "'''"),
        action=quote_text(f"{len(probe.action_low)} numbers in [-1, 1], for {', '.join(probe.action_names)}"),
        fitness=quote_text("sum(forward_velocity) * dt" if "forward_velocity" in names else "FILL IN"),
        limit=probe.max_episode_steps,
        model=quote_text(_spell_model(robot, folder)),
        mode=quote_text(options["action"]),
        scale=f"action_scale = {options['action_scale']}" if "action_scale" in options else "# action_scale = 0.25",
        control_hz=float(options["control_hz"]),
        start=quote_text(options["start"]),
        start_noise=float(options["start_noise"]),
        start_ranges=_render_ranges(options.get("start_ranges") or {}),
        end=quote_text(options["end"]),
        randomisation=_render_randomisation(drawn) if drawn else "",
        signals="\n".join(map(render_signal, select_signals(probe.signals))),
    )


def select_signals(signals: Iterable[Signal]) -> list[Signal]:
    """Return the signals of a robot that a new card names: posture, joints as vectors, contacts, places, sensors."""
    listed = [signal for signal in signals if signal.source != "obs" and not signal.source.startswith(OMITTED_SOURCES)]
    return listed[:CARD_SIGNALS]


def _spell_model(robot: str, folder: Path) -> str:
    """Return the robot as the card names it: a path is relative to the card's folder."""
    if robot.startswith(MENAGERIE) or not robot.lower().endswith(MODEL_SUFFIXES):
        return robot
    return Path(os.path.relpath(Path(robot).expanduser(), folder)).as_posix()


def _render_ranges(ranges: dict[str, Any]) -> str:
    if not ranges:
        return "# start_ranges = { some_joint = [-0.1, 0.1] }"
    return f"start_ranges = {{ {', '.join(f'{quote_text(name)} = {list(pair)}' for name, pair in ranges.items())} }}"


def _render_randomisation(drawn: dict[str, Any]) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in drawn.items() if value is not None]
    return "\n".join(["[randomisation]", *lines, ""])
