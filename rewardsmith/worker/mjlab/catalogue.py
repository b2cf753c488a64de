"""Signals that a task of mjlab offers: its model's, its commands, contacts and heights; and the task in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mujoco

from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.catalogue import ENVIRONMENT_REWARD, EnvironmentSurvey, rename_distinct
from rewardsmith.worker.envs.mujoco_catalogue import list_model_signals
from rewardsmith.worker.envs.mujoco_fields import list_element_names
from rewardsmith.worker.mjlab.fields import BODY_QUANTITIES, NOT_COMPUTED, list_contact_fields
from rewardsmith.worker.mjlab.tasks import LabTask

COMMANDS = {
    "UniformVelocityCommand": "commanded velocity in the robot's own axes: forward (m/s), to its left (m/s), turn to"
    " its left (rad/s)",
    "LiftingCommand": "place in the world to which the object is to be brought (m)",
}
"""Class of a command to what it asks for; of others the class is named."""
CONTACTS = {
    "found": ("1", "0 where nothing touches, else the number of contacts"),
    "force": ("N", "contact force"),
    "current_air_time": ("s", "time since the last contact, 0 in contact"),
    "last_air_time": ("s", "length of the last flight"),
    "current_contact_time": ("s", "time since contact was made, 0 without contact"),
    "last_contact_time": ("s", "length of the last contact"),
}
"""Field of a contact sensor to its unit and meaning; of others the field is named."""
MAX_NUMBERS = 64
"""Most numbers of a signal that is listed: a scan of the terrain has hundreds."""


def survey_lab_task(task: LabTask, env: Any) -> EnvironmentSurvey:
    """Return the card's signals and privileged ones, then the task's own whose names and sources are not taken.

    Args:
        task: the task.
        env: its environments, mjlab's ManagerBasedRlEnv.
    """
    spec = task.spec
    of_card = (*spec.signals, *spec.privileged_signals)
    names, sources = {signal.name for signal in of_card}, {signal.source for signal in of_card}
    derived = [signal for signal in _list_signals(env) if signal.source not in sources]
    privileged = [ENVIRONMENT_REWARD] if ENVIRONMENT_REWARD.source not in sources else []
    return EnvironmentSurvey(
        signals=(*spec.signals, *rename_distinct(derived, names)),
        privileged_signals=(*spec.privileged_signals, *rename_distinct(privileged, names)),
        info=(),
        observation_space=f"{count_observed(env)} numbers: {_describe_observation(env)}",
        action_space=f"{env.action_manager.total_action_dim} numbers: {', '.join(env.action_manager.active_terms)}",
        about=describe_task(task, env),
        action_names=name_actions(env),
        remarks=task.remarks,
    )


def count_observed(env: Any) -> int:
    """Return the length of the actor's observation."""
    (size,) = env.observation_manager.group_obs_dim["actor"]
    return int(size)


def name_actions(env: Any) -> tuple[str, ...]:
    """Return the names of the joints that the numbers of an action drive; empty where they are no joints."""
    names: list[str] = []
    for name in env.action_manager.active_terms:
        targets = getattr(env.action_manager.get_term(name), "target_names", None)
        if not targets:
            return ()
        names += targets
    return tuple(names) if len(names) == env.action_manager.total_action_dim else ()


def describe_task(task: LabTask, env: Any) -> str:
    """Return what a designer should know about a task: observation, commands, endings, randomisation."""
    manager = env.termination_manager
    endings = [name for name in manager.active_terms if not manager.get_term_cfg(name).time_out]
    entities = [name for name in env.scene.entities if name != "terrain"]
    lines = [
        f"A task of mjlab ({', '.join(entities)}); a step takes {task.step_s:g} s, an episode at most"
        f" {task.max_episode_steps} steps.",
        f"The policy observes, with the task's noise: {_describe_observation(env)}.",
        f"An episode ends early by: {', '.join(endings) or 'nothing'}.",
    ]
    events = [name for names in env.event_manager.active_terms.values() for name in names]
    if events:
        lines.append(f"Drawn at random: {', '.join(events)}.")
    return "\n".join(lines)


def _describe_observation(env: Any) -> str:
    manager = env.observation_manager
    terms = zip(manager.active_terms["actor"], manager.group_obs_term_dim["actor"], strict=True)
    return ", ".join(f"{name} ({'x'.join(map(str, shape))})" for name, shape in terms)


def _list_signals(env: Any) -> Iterator[Signal]:
    """Yield what is first in a prompt first: commands, the roots' motion, contacts; then the model's elements."""
    yield from _list_commands(env)
    yield from _list_body_quantities(env)
    yield from _list_sensors(env)
    size = env.action_manager.total_action_dim
    yield Signal(
        "last_action", (size,), "1", "the last action: in after the one just taken; 0 at the start", "last_action"
    )
    if env.scene.terrain is not None and env.scene.terrain.cfg.terrain_type != "plane":
        yield Signal("terrain_origin", (3,), "m", "middle of the robot's patch of terrain", "terrain_origin")
    yield from _list_own_model_signals(env)


def _list_commands(env: Any) -> Iterator[Signal]:
    for name in getattr(env.command_manager, "active_terms", []):
        kind = type(env.command_manager.get_term(name)).__name__
        values = env.command_manager.get_command(name)
        meaning = COMMANDS.get(kind, f"what the task's command {name!r} ({kind}) asks for")
        if values.shape[1:].numel() <= MAX_NUMBERS:
            yield Signal(f"{name}_command", tuple(values.shape[1:]), "1", meaning, f"command[{name}]")


def _list_body_quantities(env: Any) -> Iterator[Signal]:
    for entity, found in env.scene.entities.items():
        if not found.is_fixed_base:
            for attribute, (name, shape, unit, meaning) in BODY_QUANTITIES.items():
                source = f"body[{entity},{attribute}]"
                yield Signal(f"{entity}_{name}", shape, unit, meaning.format(repr(entity)), source)


def _list_sensors(env: Any) -> Iterator[Signal]:
    for name, sensor in env.scene.sensors.items():
        if hasattr(sensor, "primary_names"):
            of = ", ".join(sensor.primary_names)
            for field, values in list_contact_fields(sensor):
                unit, what = CONTACTS.get(field, ("1", field))
                if values.shape[1:].numel() <= MAX_NUMBERS:
                    shape = tuple(values.shape[1:])
                    yield Signal(f"{name}_{field}", shape, unit, f"{what}, of {of}", f"contact[{name},{field}]")
        elif hasattr(sensor, "num_rays_per_frame") and hasattr(sensor.data, "heights"):
            shape = tuple(sensor.data.heights.shape[1:])
            yield Signal(f"{name}_heights", shape, "m", f"heights above the terrain, by {name!r}", f"heights[{name}]")


def _list_own_model_signals(env: Any) -> Iterator[Signal]:
    """Yield the model's signals but those that Warp does not compute, the terrain's, and raw contact sensors."""
    model = env.sim.mj_model
    contact = int(mujoco.mjtSensor.mjSENS_CONTACT)
    raw = {
        f"sensordata[{name}]"
        for number, name in enumerate(list_element_names(model, "sensor"))
        if int(model.sensor_type[number]) == contact
    }
    for signal in list_model_signals(model):
        # The base is what holds a robot without a free joint, and terrain stays where it is.
        is_scenery = signal.name.startswith("terrain") or "mocap_base" in signal.name
        is_left_out = is_scenery or signal.source in raw
        if not is_left_out and not signal.source.startswith(NOT_COMPUTED):
            yield signal
