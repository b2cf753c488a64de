"""Signals of families with their own simulation: up to date, and available without a card."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from fakes.families import ids, needs

from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.report.export.exporter import export_program
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.mujoco_fields import get_simulation

EACH = ids(
    "Meta-World/drawer-close-v3",
    "FetchPush-v4",
    "HandManipulatePen-v1",
    "AdroitHandDoor-v1",
    "FrankaKitchen-v1",
    "AntMaze_UMaze-v5",
    "dm_control/walker-walk-v0",
)
DM_CONTROL = "dm_control/cheetah-run-v0"


@pytest.mark.parametrize("env_id", EACH)
def test_signals_are_current_not_one_substep_behind(env_id):
    body = Signal("bodies", (3,), "m", "", "xpos[-1]")
    env = make_envs(EnvSpec(env_id, signals=(body,)), 1, ("bodies",))
    reference = gymnasium.make(env_id, disable_env_checker=True)
    env.reset((0,))
    reference.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (20, *reference.action_space.shape)).astype(np.float32):
        after = env.step(action[None].astype(np.float64)).after[0].copy()
        reference.step(action.astype(reference.action_space.dtype))
        np.testing.assert_allclose(after, _present(*get_simulation(reference)), atol=1e-12)


def _present(model, data):
    """Return the last body's position, computed from the state alone."""
    fresh = mujoco.MjData(model)
    fresh.qpos[:], fresh.mocap_pos[:], fresh.mocap_quat[:] = data.qpos, data.mocap_pos, data.mocap_quat
    mujoco.mj_kinematics(model, fresh)
    return fresh.xpos[-1]


@pytest.mark.parametrize("env_id", EACH)
def test_the_derived_catalogue_can_be_gathered(env_id):
    surveyed = survey_environment(EnvSpec(env_id))
    spec = EnvSpec(env_id, signals=surveyed.signals, privileged_signals=surveyed.privileged_signals)
    names, measured = ([signal.name for signal in kind] for kind in (surveyed.signals, surveyed.privileged_signals))
    env = make_envs(spec, 1, names, measured)
    env.reset((0,))
    assert np.isfinite(env.step(np.zeros((1, env.actions.width))).after).all()
    assert any("xpos[" in signal.source for signal in surveyed.signals)
    assert "environment_reward" in measured


@needs(DM_CONTROL)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*in1d:DeprecationWarning")
def test_every_id_of_the_suite_works_without_a_card():
    from dm_control import suite

    for domain, name in suite.ALL_TASKS:
        surveyed = survey_environment(EnvSpec(f"dm_control/{domain}-{name}-v0"))
        assert any(signal.source.startswith("xpos[") for signal in surveyed.signals), (domain, name)


@needs(DM_CONTROL)
def test_the_bookkeeping_of_dm_control_is_no_signal():
    surveyed = survey_environment(EnvSpec(DM_CONTROL))
    assert not [signal.name for signal in surveyed.signals if "timestep" in signal.source]


@pytest.mark.parametrize("env_id", ids("FetchReach-v4", DM_CONTROL))
def test_an_exported_reward_reads_the_same_signals(env_id):
    signals = {"FetchReach-v4": "obs[3:6] - site_xpos[robot0:grip]", DM_CONTROL: "xvelp[torso]"}
    read = Signal("read", (3,), "1", "what the program pays for", signals[env_id])
    program = parse_program("def reward(after):\n    return {'first': after.read[:, 0], 'last': after.read[:, 2]}\n")
    names: dict[str, Any] = {}
    exec(compile(export_program(program, (read,), EnvSpec(env_id)), "exported", "exec"), names)
    theirs, ours = names["make"](), make_envs(EnvSpec(env_id, signals=(read,)), 1, ("read",))
    theirs.reset(seed=3)
    ours.reset((3,))
    for action in np.random.default_rng(0).uniform(-1, 1, (20, *theirs.action_space.shape)).astype(np.float32):
        paid = theirs.step(action)[4]["reward_terms"]
        after = ours.step(action[None].astype(np.float64)).after[0]
        np.testing.assert_allclose([paid["first"], paid["last"]], after[[0, 2]], atol=1e-10)
