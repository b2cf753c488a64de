"""Which tasks run, and where: every wrong wish is one line."""

from __future__ import annotations

import warnings

import pytest
import torch
from fakes.lab_case import BALANCE, NEEDS_MJLAB

from rewardsmith.contract import env_families
from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.contract.records import EnvSpec, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.worker.mjlab import settings, tasks


def test_without_mjlab_or_beside_another_mujoco_the_line_says_what_to_install(monkeypatch):
    versions = {"mujoco": "4.0.0", "rsl-rl-lib": "5.4.2"}

    def version(name):
        if name not in versions:
            raise env_families.importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(env_families.importlib.metadata, "version", version)
    with pytest.raises(TaskError) as caught:
        tasks.load_lab_task(EnvSpec(BALANCE))
    text = str(caught.value)
    assert "mjlab is not installed" in text
    assert "mujoco 4.0.0 is installed, it runs on mujoco >= 3.11, < 3.12" in text
    assert "pip install 'rewardsmith[mjlab]'" in text and "\n" not in text


def test_a_gpu_that_cannot_be_used_is_an_error_and_no_slow_training(monkeypatch, tmp_path):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(tasks, "DEVICE_NODES", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    def refuse():
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your"
            " GPU driver",
            stacklevel=1,
        )
        raise RuntimeError("no CUDA")

    monkeypatch.setattr(torch.cuda, "init", refuse)
    with pytest.raises(TaskError) as caught:
        tasks.choose_device({}, BALANCE)
    assert "The NVIDIA driver on your system is too old (found version 11040); --env-kwargs" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tasks.choose_device({"device": "cpu"}, BALANCE) == ("cpu", ())

    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(TaskError, match="the installed torch is a CPU build"):
        tasks.choose_device({}, BALANCE)


@NEEDS_MJLAB
@pytest.mark.parametrize(
    ("version", "message"),
    [(None, "its driver is too old for Warp"), ((12, 2), "is of CUDA 12.2: from 12.4 on"), ((13, 0), "")],
)
def test_a_driver_that_warp_cannot_use_is_an_error_and_one_without_graphs_a_remark(monkeypatch, version, message):
    import warp

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(warp, "get_cuda_driver_version", lambda: version)
    monkeypatch.setattr(warp, "is_cuda_available", lambda: version is not None)
    if version is None:
        with pytest.raises(TaskError, match=message):
            tasks.choose_device({}, BALANCE)
    else:
        device, remarks = tasks.choose_device({}, BALANCE)
        assert device == "cuda:0" and len(remarks) == bool(message) and message in "".join(remarks)


def test_without_a_gpu_the_cpu_computes_unless_a_gpu_is_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "DEVICE_NODES", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert tasks.choose_device({}, BALANCE) == ("cpu", ())
    with pytest.raises(TaskError, match="cannot use the GPU"):
        tasks.choose_device({"device": "cuda:0"}, BALANCE)
    with pytest.raises(TaskError, match="write 'cpu' or 'cuda:0'"):
        tasks.choose_device({"device": 3}, BALANCE)


@NEEDS_MJLAB
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            EnvSpec("mjlab:Mjlab-Cartpole-Balanc"),
            "mjlab has no task 'Mjlab-Cartpole-Balanc'; did you mean 'Mjlab-Cartpole-Balance'",
        ),
        (EnvSpec(BALANCE, {"n": 3}), "takes no keyword argument 'n'; there are device, motion_file, config"),
        (EnvSpec(BALANCE, {"config": {"sim.njmx": 3}}), "config names 'sim.njmx', and sim has nconmax, njmax"),
        (EnvSpec("mjlab:Mjlab-Lift-Cube-Yam-Rgb"), "no network of plain layers on one vector"),
        (EnvSpec("mjlab:Mjlab-Tracking-Flat-Unitree-G1"), "follows a recorded motion"),
    ],
)
def test_a_task_that_cannot_run_is_one_line(spec, message):
    with pytest.raises(TaskError, match=message) as caught:
        tasks.load_lab_task(spec)
    assert "\n" not in str(caught.value)


@NEEDS_MJLAB
def test_a_card_changes_mjlab_s_configuration_by_paths():
    kwargs = {
        "config": {
            "terminations.fell_over.params.limit_angle": 2.1,
            "commands.twist.ranges.lin_vel_x": [0.0, 0.5],
            "curriculum.command_vel": False,
        }
    }
    task = tasks.load_lab_task(EnvSpec("mjlab:Mjlab-Velocity-Flat-Unitree-Go1", kwargs, max_episode_steps=500))
    config = task.env_config
    assert config.terminations["fell_over"].params["limit_angle"] == 2.1
    assert config.commands["twist"].ranges.lin_vel_x == (0.0, 0.5)
    assert "command_vel" not in config.curriculum
    assert (task.max_episode_steps, task.step_s) == (500, 0.02)


@NEEDS_MJLAB
def test_settings_at_their_default_leave_the_task_s_own_and_others_replace_them():
    task = tasks.load_lab_task(EnvSpec(BALANCE))
    own = settings.build_learner_dict(task.learner_config)
    assert settings.apply_settings(task, TrainSettings(), None) == tasks.CPU_ENVS
    assert settings.build_learner_dict(task.learner_config) == own
    changed = TrainSettings(n_envs=32, n_steps=16, batch_size=128, learning_rate=1e-4, net_arch=(32,), log_std_init=0.0)
    assert settings.apply_settings(task, changed, None) == 32
    made = settings.build_learner_dict(task.learner_config)
    assert (made["num_steps_per_env"], made["algorithm"]["num_mini_batches"]) == (16, 4)
    assert (made["algorithm"]["learning_rate"], made["algorithm"]["gamma"]) == (1e-4, own["algorithm"]["gamma"])
    assert made["actor"]["hidden_dims"] == made["critic"]["hidden_dims"] == (32,)
    assert made["actor"]["distribution_cfg"]["init_std"] == 1.0


@NEEDS_MJLAB
@pytest.mark.parametrize(
    ("changed", "program", "message"),
    [
        (TrainSettings(trainer="sac"), None, "trained by rsl_rl's PPO alone"),
        (TrainSettings(observation=("angle",)), None, "a policy observes what the task gives it"),
        (TrainSettings(blend="barfi"), None, "training.blend = 'barfi' is not for tasks of mjlab"),
        (
            TrainSettings(),
            parse_program('OBSERVATION = ["angle"]\ndef reward(after):\n    return {"x": after.angle}\n'),
            "a policy observes what the task gives it",
        ),
    ],
)
def test_a_setting_that_means_nothing_here_is_refused(changed, program, message):
    with pytest.raises(ConfigError, match=message):
        settings.apply_settings(tasks.load_lab_task(EnvSpec(BALANCE)), changed, program)
