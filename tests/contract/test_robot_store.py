"""The store of robots' files: kept under their digest, checked, carried by runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.robots import puppy_env

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.robots import read_robot_options, store


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of each test is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def find_file(spec: EnvSpec) -> Path:
    return store.find_model_file(str(spec.kwargs["model"]), str(spec.kwargs["digest"]))


def test_a_named_robot_is_kept_and_a_later_change_of_the_file_is_another_robot(tmp_path):
    first = puppy_env(tmp_path)
    text = find_file(first).read_text(encoding="utf-8")
    second = puppy_env(tmp_path, joint='range="-1 1" damping="0.2"')
    assert first.kwargs["digest"] != second.kwargs["digest"]
    assert find_file(first).read_text(encoding="utf-8") == text != find_file(second).read_text(encoding="utf-8")


def test_files_that_were_changed_in_the_store_are_refused(tmp_path):
    spec = puppy_env(tmp_path)
    find_file(spec).write_text("<mujoco/>", encoding="utf-8")
    with pytest.raises(TaskError, match="were changed; delete that folder"):
        find_file(spec)
    # Naming the robot again puts them right.
    assert "puppy" in find_file(puppy_env(tmp_path)).read_text(encoding="utf-8")


def test_a_robot_that_is_nowhere_is_one_line(tmp_path):
    spec = puppy_env(tmp_path)
    with pytest.raises(TaskError, match="is not on this machine; name its file with --robot") as caught:
        find_file(replace(spec, kwargs={**spec.kwargs, "digest": "0" * 64}))
    assert "\n" not in str(caught.value)


def test_a_run_carries_its_robot_to_another_machine(tmp_path, monkeypatch):
    spec = puppy_env(tmp_path)
    store.copy_into_run(spec, tmp_path / "run")
    assert (tmp_path / "run" / "robot" / "puppy.xml").is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    with pytest.raises(TaskError, match="is not on this machine"):
        find_file(spec)
    store.restore_from_run(spec, tmp_path / "run")
    assert find_file(spec).is_relative_to(tmp_path / "elsewhere")


def test_a_run_whose_robot_was_changed_is_refused(tmp_path):
    spec = puppy_env(tmp_path)
    store.copy_into_run(spec, tmp_path / "run")
    (tmp_path / "run" / "robot" / "extra.png").write_bytes(b"?")
    with pytest.raises(TaskError, match="are not those that the run was started with"):
        store.restore_from_run(spec, tmp_path / "run")


def test_other_environments_have_nothing_to_carry(tmp_path):
    store.copy_into_run(EnvSpec("Hopper-v5"), tmp_path / "run")
    store.restore_from_run(EnvSpec("Hopper-v5"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"actoin": "torque"}, "there is no option 'actoin'; did you mean 'action'"),
        ({"action": "speed"}, "action = 'speed': input should be 'torque', 'position' or 'delta'"),
        ({"control_hz": 0}, "control_hz is 0; actions per second are more than 0"),
        ({"action_scale": -1}, "action_scale is -1; it is a share of an actuator's range"),
        ({"start_noise": -0.1}, "start_noise is -0.1; it is 0 or more"),
        (
            {"start_ranges": {"a": [1, 0]}},
            r"start_ranges.a = \[1, 0\]: a range is two finite numbers, the lower one first",
        ),
        ({"randomisation": {"mas": [1, 2]}}, r"no option '\[randomisation\] mas'; did you mean 'mass'"),
        ({"randomisation": {"mass": [0, 1]}}, r"mass = \[0, 1\]: no value below 0.01 is possible"),
        ({"randomisation": {"latency": [0, 0.5]}}, "latency"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_is_allowed(options, said):
    with pytest.raises(TaskError, match=said) as caught:
        read_robot_options({"model": "a.xml", **options}, "card.toml")
    assert str(caught.value).startswith("card.toml: ") and "\n" not in str(caught.value)
