"""The window of this machine: without a screen, or on one that is not there, the caller is told why."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, RenderJob
from rewardsmith.executors import viewer
from rewardsmith.executors.viewer import NoWindow, show_policy

NOWHERE = ":987"


def job(env_id: str = "Hopper-v5", policy: str | None = None) -> RenderJob:
    return RenderJob(EnvSpec(env_id), policy, "length", 0)


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in viewer.SCREEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_a_screen_no_process_is_started(monkeypatch):
    monkeypatch.setattr(viewer.subprocess, "run", None)
    with pytest.raises(NoWindow, match="there is no screen: neither DISPLAY nor WAYLAND_DISPLAY is set"):
        show_policy(job())


def test_a_screen_that_is_not_there_is_no_window(monkeypatch):
    monkeypatch.setenv("DISPLAY", NOWHERE)
    with pytest.raises(NoWindow, match=r"no window could be kept open: .*GLFW"):
        show_policy(job())


def test_an_environment_without_a_window_is_refused(monkeypatch):
    monkeypatch.setenv("DISPLAY", NOWHERE)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    with pytest.raises(TaskError, match=r"'fakes.training_case:Faulty-v0' has no window: its render modes are none"):
        show_policy(job("fakes.training_case:Faulty-v0"))


def test_a_policy_that_is_gone_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DISPLAY", NOWHERE)
    with pytest.raises(TaskError, match="cannot read the policy in"):
        show_policy(job(policy=str(tmp_path)))


def test_the_window_gets_the_screen_and_no_key(monkeypatch):
    monkeypatch.setenv("DISPLAY", NOWHERE)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("MUJOCO_GL", "egl")
    environment = viewer._build_environment(job(), None)
    assert environment["DISPLAY"] == NOWHERE
    assert not {"OPENAI_API_KEY", "MUJOCO_GL"} & set(environment)
