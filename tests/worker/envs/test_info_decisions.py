"""The decision about every entry of `info`, family by family; a family that is not installed is skipped."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pytest

from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.catalogue import survey_environment

SIGNAL, PRIVILEGED, LEFT_OUT = "signal", "privileged", "left out"


@dataclass(frozen=True)
class Family:
    """Environments that an extra installs, and every key of their `info`."""

    module: str
    """Whose presence says that the family is installed."""
    ids: tuple[str, ...]
    keys: dict[str, str]
    """Key to decision."""


MUJOCO = ("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup", "InvertedDoublePendulum", "InvertedPendulum",
          "Pusher", "Reacher", "Swimmer", "Walker2d")  # fmt: skip
CRAFTER_KINDS = ("water", "grass", "stone", "path", "sand", "tree", "lava", "coal", "iron", "diamond", "table",
                 "furnace", "cow", "zombie", "skeleton", "arrow", "plant")  # fmt: skip
MINIHACK_KINDS = ("closed_door", "open_door", "stairs_down", "water", "lava", "boulder", "item", "monster")
FAMILIES = {
    "gymnasium_mujoco": Family(
        "mujoco",
        tuple(f"{name}-v5" for name in MUJOCO),
        {
            # The simulation's own signals say the same, on batched physics.
            **dict.fromkeys(("x_position", "y_position", "x_velocity", "y_velocity"), LEFT_OUT),
            **dict.fromkeys(("distance_from_origin", "z_distance_from_origin"), LEFT_OUT),
            **dict.fromkeys(("tendon_length", "tendon_velocity"), LEFT_OUT),
            **dict.fromkeys(("reward_forward", "reward_ctrl", "reward_contact", "reward_survive"), PRIVILEGED),
            **dict.fromkeys(("reward_linup", "reward_quadctrl", "reward_impact"), PRIVILEGED),
            **dict.fromkeys(("reward_dist", "reward_near", "distance_penalty", "velocity_penalty"), PRIVILEGED),
        },
    ),
    "classic_control": Family(
        "gymnasium",
        ("CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"),
        {},
    ),
    "box2d": Family(
        "Box2D", ("LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3", "BipedalWalkerHardcore-v3"), {}
    ),
    "crafter": Family(
        "crafter",
        ("rewardsmith/Crafter-v1",),
        dict.fromkeys(
            (
                *("view", "position", "facing", "facing_kind", "sleeping", "daylight", "explored", "in_lava"),
                *("health", "food", "drink", "energy"),
                *(f"has_{name}" for name in ("sapling", "wood", "stone", "coal", "iron", "diamond")),
                *(f"has_{kind}_{tool}" for kind in ("wood", "stone", "iron") for tool in ("pickaxe", "sword")),
                *(f"did_collect_{name}" for name in ("coal", "diamond", "drink", "iron", "sapling", "stone", "wood")),
                *(f"did_{deed}" for deed in ("defeat_skeleton", "defeat_zombie", "eat_cow", "eat_plant", "wake_up")),
                *(f"did_make_{kind}_{tool}" for kind in ("wood", "stone", "iron") for tool in ("pickaxe", "sword")),
                *(f"did_place_{name}" for name in ("furnace", "plant", "stone", "table")),
                *(f"{kind}_{what}" for kind in CRAFTER_KINDS for what in ("distance", "offset")),
            ),
            SIGNAL,
        ),
    ),
    "minihack": Family(
        "minihack",
        ("rewardsmith/MiniHack-River-v0", "rewardsmith/MiniHack-Quest-Easy-v0"),
        {
            **dict.fromkeys(
                (
                    *("view", "position", "hit_points", "max_hit_points", "depth", "turns", "gold", "armor_class"),
                    *("experience_level", "hunger", "levitating", "items", "has_key", "question", "known_cells"),
                    *(f"{kind}_{what}" for kind in MINIHACK_KINDS for what in ("distance", "offset")),
                    "died",
                ),
                SIGNAL,
            ),
            "success": PRIVILEGED,
            # A text, for learned signals.
            "message": LEFT_OUT,
        },
    ),
    "maniskill": Family(
        "mani_skill",
        ("rewardsmith/ManiSkill-PickCube-v1",),
        {
            **dict.fromkeys(
                (
                    *("gripper_position", "gripper_orientation", "joint_positions", "joint_velocities"),
                    *(f"cube_{what}" for what in ("position", "orientation", "velocity", "angular_velocity")),
                    *("goal_site_position", "goal_site_orientation", "is_grasped", "is_robot_static"),
                ),
                SIGNAL,
            ),
            "success": PRIVILEGED,
            "success_is_obj_placed": PRIVILEGED,
        },
    ),
    "toy_text": Family("gymnasium", ("FrozenLake-v1", "CliffWalking-v1"), {"prob": SIGNAL}),
    "metaworld": Family(
        "metaworld",
        ("Meta-World/reach-v3", "Meta-World/door-open-v3", "Meta-World/drawer-open-v3", "Meta-World/faucet-open-v3"),
        {
            **dict.fromkeys(
                ("unscaled_reward", "grasp_reward", "in_place_reward", "success", "grasp_success"), PRIVILEGED
            ),
            # A term of the environment reward of the tasks with a door.
            "near_object": PRIVILEGED,
            "obj_to_target": SIGNAL,
        },
    ),
    "robotics": Family(
        "gymnasium_robotics",
        ("FetchReach-v4", "HandManipulatePen-v1", "AdroitHandDoor-v1", "FrankaKitchen-v1", "AntMaze_UMaze-v5"),
        {
            **dict.fromkeys(("is_success", "success"), PRIVILEGED),
            **dict.fromkeys(("reward_forward", "reward_ctrl", "reward_contact", "reward_survive"), PRIVILEGED),
            **dict.fromkeys(("x_position", "y_position", "x_velocity", "y_velocity", "distance_from_origin"), SIGNAL),
            # Lists of the names of jobs.
            **dict.fromkeys(("tasks_to_complete", "step_task_completions", "episode_task_completions"), LEFT_OUT),
        },
    ),
    "dm_control": Family(
        "dm_control",
        ("dm_control/cheetah-run-v0", "dm_control/humanoid-stand-v0", "dm_control/finger-spin-v0"),
        {"timestep.discount": LEFT_OUT, "timestep.step_type": LEFT_OUT},
    ),
}
"""Every family; its keys are all that its environments report, no more and no fewer."""


def _import(module: str) -> None:
    """Import a family's package if it is installed; its warnings are ignored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(module)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_entry_of_info_has_its_decision(name):
    family = FAMILIES[name]
    _import(family.module)
    found: dict[str, str] = {}
    for env_id in family.ids:
        surveyed = survey_environment(EnvSpec(env_id))
        offered = {signal.source for signal in surveyed.signals}
        for entry in surveyed.info:
            assert found.setdefault(entry.key, entry.decision) == entry.decision
            assert (f'info["{entry.key}"]' in offered) == (entry.decision == SIGNAL)
    assert found == family.keys


@pytest.mark.parametrize("name", FAMILIES)
def test_no_entry_that_tells_the_reward_or_the_success_is_a_signal(name):
    telling = ("reward", "success", "penalty", "score", "return")
    assert not [key for key, made in FAMILIES[name].keys.items() if made == SIGNAL and any(t in key for t in telling)]


@pytest.mark.parametrize(
    "key",
    [
        *(
            "reward_ctrl",
            "unscaled_reward",
            "grasp_reward",
            "in_place_reward",
            "rewards",
            "reward",
            "rew",
            "episode_rew",
        ),
        *("success", "is_success", "grasp_success", "solved", "score", "episode_return", "cost", "distance_penalty"),
    ],
)
def test_keys_of_other_families_that_tell(key):
    from rewardsmith.contract.signal_source import may_leak_reward

    assert may_leak_reward(key)
