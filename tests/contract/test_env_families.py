"""Environments that need extra packages, and the message if a package is missing."""

from __future__ import annotations

import importlib.metadata
import tomllib

import pytest
from fakes.paths import CHECKOUT

from rewardsmith.api import planning
from rewardsmith.contract import env_families
from rewardsmith.contract.errors import TaskError

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HERE = {
    "metaworld": "3.1.1",
    "mujoco": "3.3.0",
    "gymnasium-robotics": "1.4.2",
    "shimmy": "2.0.1",
    "dm_control": "1.0.28",
}


@pytest.fixture
def installed(monkeypatch):
    """Make a set of packages and versions the installed one."""

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    versions: dict[str, str] = {}
    monkeypatch.setattr(importlib.metadata, "version", version)
    return versions


@pytest.mark.parametrize(
    ("env_id", "extra"),
    [
        ("Meta-World/reach-v3", "metaworld"),
        ("FetchPush-v4", "robotics"),
        ("gymnasium_robotics:HandManipulatePen-v1", "robotics"),
        ("AdroitHandDoor-v1", "robotics"),
        ("AntMaze_UMaze-v5", "robotics"),
        ("dm_control/cheetah-run-v0", "dm-control"),
        ("mjlab:Mjlab-Velocity-Flat-Unitree-Go1", "mjlab"),
    ],
)
def test_an_id_tells_its_extra(env_id, extra):
    family = env_families.find_family(env_id)
    assert family is not None
    assert family.extra == extra


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Ant-v5", "CartPole-v1", "my_package:Thing-v0"])
def test_other_ids_need_nothing(env_id, installed):
    env_families.require_packages(env_id)


def test_every_extra_of_the_table_can_be_installed():
    assert {family.extra for family in env_families.FAMILIES} <= set(PROJECT["optional-dependencies"])


def test_what_is_missing_is_named_with_the_line_that_installs_it(installed):
    installed.update(mujoco="3.3.0")
    with pytest.raises(TaskError) as caught:
        env_families.require_packages("Meta-World/reach-v3")
    line = str(caught.value)
    assert "metaworld is not installed" in line
    assert "pip install 'rewardsmith[metaworld]'" in line
    assert "\n" not in line


def test_a_mujoco_that_is_too_new_is_named_with_the_way_out(installed):
    installed.update(HERE | {"mujoco": "4.0.0"})
    with pytest.raises(TaskError, match=r"mujoco 4\.0\.0 .* < 3\.12.*virtual environment of its own"):
        env_families.require_packages("FetchReach-v4")


def test_ids_that_run_on_a_new_mujoco_are_not_refused(installed):
    installed.update(HERE | {"mujoco": "4.0.0"})
    env_families.require_packages("AdroitHandDoor-v1")
    assert not env_families.is_family_installed("FetchReach-v4")


def test_one_environment_holds_the_three_families(installed):
    installed.update(HERE)
    for env_id in ("Meta-World/reach-v3", "FetchReach-v4", "dm_control/cheetah-run-v0"):
        assert env_families.is_family_installed(env_id)


def test_a_search_is_refused_before_anything_runs(installed):
    with pytest.raises(TaskError, match=r"rewardsmith\[dm-control\]"):
        planning.plan_search("Run", "cheetah_run")
