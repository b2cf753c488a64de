"""Meanings of the observation's numbers in Gymnasium's classic control and Box2D environments, and in Meta-World."""

from __future__ import annotations

from typing import Any

from rewardsmith.contract.records import Signal

NumberEntry = tuple[str, str, str]
"""Name, unit and meaning of one number."""

_CAR: tuple[NumberEntry, ...] = (
    ("car_position", "1", "position along the valley, -1.2 to 0.6; the bottom is at -0.52, the goal at 0.45 to 0.5"),
    ("car_velocity", "1", "velocity of the car, -0.07 to 0.07 per step"),
)
_LANDER: tuple[NumberEntry, ...] = (
    ("x_position", "1", "sideways position, 0 above the landing pad"),
    ("y_position", "1", "height, 0 on the landing pad"),
    ("x_velocity", "1", "sideways velocity"),
    ("y_velocity", "1", "upward velocity"),
    ("angle", "rad", "tilt, 0 upright, positive to the left"),
    ("angular_velocity", "1", "rate of the tilt"),
    ("right_leg_contact", "1", "1 while the right leg touches the ground"),
    ("left_leg_contact", "1", "1 while the left leg touches the ground"),
)
_BIPED: tuple[NumberEntry, ...] = (
    ("hull_angle", "rad", "tilt of the hull, 0 level"),
    ("hull_angular_velocity", "1", "rate of the tilt"),
    ("x_velocity", "1", "forward velocity of the hull"),
    ("y_velocity", "1", "upward velocity of the hull"),
    ("front_hip_angle", "rad", "hip of the first leg"),
    ("front_hip_speed", "1", "rate of that hip"),
    ("front_knee_angle", "rad", "knee of the first leg"),
    ("front_knee_speed", "1", "rate of that knee"),
    ("front_leg_contact", "1", "1 while the first leg touches the ground"),
    ("back_hip_angle", "rad", "hip of the second leg"),
    ("back_hip_speed", "1", "rate of that hip"),
    ("back_knee_angle", "rad", "knee of the second leg"),
    ("back_knee_speed", "1", "rate of that knee"),
    ("back_leg_contact", "1", "1 while the second leg touches the ground"),
    *((f"lidar_{i}", "1", f"lidar distance {i} of 10, from below to ahead, 1 where nothing is hit") for i in range(10)),
)

OBSERVATIONS: dict[str, tuple[NumberEntry, ...]] = {
    "CartPole": (
        ("cart_position", "m", "position of the cart, 0 in the middle; the episode ends beyond 2.4"),
        ("cart_velocity", "m/s", "velocity of the cart"),
        ("pole_angle", "rad", "tilt of the pole, 0 upright; the episode ends beyond 0.21"),
        ("pole_angular_velocity", "rad/s", "rate of the tilt"),
    ),
    "Pendulum": (
        ("cos_angle", "1", "1 upright, -1 hanging down"),
        ("sin_angle", "1", "0 upright or hanging down"),
        ("angular_velocity", "rad/s", "rate of the angle"),
    ),
    "Acrobot": (
        ("cos_upper_angle", "1", "cosine of the upper link's angle, 1 hanging down"),
        ("sin_upper_angle", "1", "sine of the upper link's angle"),
        ("cos_lower_angle", "1", "cosine of the lower link's angle relative to the upper one, 1 in line"),
        ("sin_lower_angle", "1", "sine of that angle"),
        ("upper_angular_velocity", "rad/s", "rate of the upper link"),
        ("lower_angular_velocity", "rad/s", "rate of the lower link relative to the upper one"),
    ),
    "MountainCar": _CAR,
    "MountainCarContinuous": _CAR,
    "LunarLander": _LANDER,
    "LunarLanderContinuous": _LANDER,
    "BipedalWalker": _BIPED,
    "BipedalWalkerHardcore": _BIPED,
}
"""Name of the environment, without its version, to its observation in order."""

_METAWORLD = (
    Signal("gripper_opening", (), "1", "distance of the two fingers: 0 closed, 1 wide open", "obs[3]"),
    Signal("object_position", (3,), "m", "position of what is to be handled, such as a handle or a puck", "obs[4:7]"),
    Signal("second_object_position", (3,), "m", "position of a second object; 0 where there is none", "obs[11:14]"),
    Signal("target_position", (3,), "m", "where it should be; the same during an episode", "obs[36:39]"),
)
PLACES: dict[str, tuple[Signal, ...]] = {"Meta-World": _METAWORLD}
"""Namespace of the environment to what lies in its observation."""


def find_number_table(env: Any) -> tuple[NumberEntry, ...]:
    """Return the entries of OBSERVATIONS for an environment; none unless it is Gymnasium's own of that name."""
    return OBSERVATIONS.get(env.spec.name, ()) if _is_defined_in(env, "gymnasium") else ()


def find_place_table(env: Any) -> tuple[Signal, ...]:
    """Return the entries of PLACES for an environment; none unless its class is of the package of that family."""
    return PLACES.get(env.spec.namespace, ()) if _is_defined_in(env, "metaworld") else ()


def _is_defined_in(env: Any, package: str) -> bool:
    """Return whether an environment's class is of a package: others may register the same name."""
    return type(env.unwrapped).__module__.partition(".")[0] == package
