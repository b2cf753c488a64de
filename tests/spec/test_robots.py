"""Robots as people name them: files with their meshes, those of the package, those of the Menagerie, and cards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fakes.robots import ARM_URDF, spell_puppy, write_puppy

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Probe, Signal
from rewardsmith.contract.robots import store
from rewardsmith.spec import robots
from rewardsmith.spec.env_options import EnvOptions
from rewardsmith.spec.new_robot_card import render_robot_card
from rewardsmith.spec.robot_files import collect_model_files
from rewardsmith.spec.task_cards import find_env, load_card, load_task

CARD = """
text = "Walk."
about = "A robot."
action = "two numbers"
fitness = "last(height)"
{head}
[robot]
model = "puppy.xml"
{robot}
[signals]
height = {{ source = "xpos[trunk,2]", unit = "m", meaning = "height" }}
{tail}
"""


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of each test is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_card(folder: Path, head: str = "", robot: str = "", tail: str = "") -> Path:
    write_puppy(folder)
    path = folder / "card.toml"
    path.write_text(CARD.format(head=head, robot=robot, tail=tail), encoding="utf-8")
    return path


# ---------------------------------------------------------------- files


def write_robot_with_meshes(folder: Path) -> Path:
    (folder / "assets" / "legs").mkdir(parents=True)
    (folder / "assets" / "trunk.stl").write_bytes(b"trunk")
    (folder / "assets" / "legs" / "foot.obj").write_bytes(b"foot")
    (folder / "parts.xml").write_text(
        '<mujoco><asset><mesh name="a" file="trunk.stl"/><mesh name="b" file="legs/foot.obj"/></asset></mujoco>'
    )
    main = folder / "scene.xml"
    main.write_text('<mujoco><compiler meshdir="assets"/><include file="parts.xml"/></mujoco>')
    return main


def test_a_model_s_includes_and_meshes_are_its_files(tmp_path):
    main = write_robot_with_meshes(tmp_path)
    (tmp_path / "notes.txt").write_text("no part of it")
    files = collect_model_files(main)
    assert files.model == "scene.xml"
    assert files.names == ("assets/legs/foot.obj", "assets/trunk.stl", "parts.xml", "scene.xml")


def test_meshes_beside_the_model_s_folder_keep_their_place(tmp_path):
    (tmp_path / "urdf").mkdir()
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "arm.stl").write_bytes(b"arm")
    main = tmp_path / "urdf" / "arm.xml"
    main.write_text('<mujoco><asset><mesh file="../meshes/arm.stl"/></asset></mujoco>')
    files = collect_model_files(main)
    assert (files.folder, files.model, files.names) == (tmp_path, "urdf/arm.xml", ("meshes/arm.stl", "urdf/arm.xml"))


def test_a_urdf_s_meshes_are_found_by_their_name_alone(tmp_path):
    (tmp_path / "lever.stl").write_bytes(b"lever")
    text = ARM_URDF.format(effort=1).replace(
        '<box size="0.05 0.05 0.4"/>', '<mesh filename="package://lever/meshes/lever.stl"/>'
    )
    (tmp_path / "lever.urdf").write_text(text)
    assert collect_model_files(tmp_path / "lever.urdf").names == ("lever.stl", "lever.urdf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a robot", "is not XML: syntax error"),
        (
            '<mujoco><asset><mesh file="gone.stl"/></asset></mujoco>',
            "the file 'gone.stl' of <mesh> is missing; it was looked for in",
        ),
        (
            '<mujoco><include file="gone.xml"/></mujoco>',
            "the file 'gone.xml' of <include> is missing.*correct the name$",
        ),
        (
            '<mujoco><asset><mesh file="/etc/passwd.stl"/></asset></mujoco>',
            "by an absolute path, which no other machine has",
        ),
        ('<mujoco><asset><texture file="../.ssh/id_rsa"/></asset></mujoco>', "which is no file of a model"),
        ('<mujoco><asset><model name="a" file="robot.xml"/></asset></mujoco>', "the model attaches itself by <model>"),
        ('<robot xmlns:xacro="http://ros.org/xacro"><xacro:include/></robot>', "a template of xacro; `xacro robot.xml"),
        ('<robot name="a"><link name="${side}_leg"/></robot>', "a template of xacro"),
        ("<mujoco>" + " " * (16 << 20) + "</mujoco>", "cannot be read: it has more than 16,777,216 bytes"),
        ('<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "' + "&b;" * 9 + '">]><mujoco>&e;</mujoco>', "is not XML: undefined"),
    ],
)
def test_what_is_wrong_with_a_model_s_files_is_one_line(tmp_path, text, said):
    (tmp_path / "robot.xml").write_text(text)
    with pytest.raises(TaskError, match=said) as caught:
        find_env(str(tmp_path / "robot.xml"))
    assert "\n" not in str(caught.value)


def test_a_mesh_may_be_a_link_to_a_mesh_and_to_nothing_else(tmp_path):
    text = '<mujoco><asset><mesh name="a" file="a.stl"/></asset></mujoco>'
    (tmp_path / "robot").mkdir()
    (tmp_path / "robot" / "robot.xml").write_text(text)
    (tmp_path / "shared.stl").write_bytes(b"mesh")
    (tmp_path / "secret").write_text("key")
    mesh = tmp_path / "robot" / "a.stl"

    mesh.symlink_to("../shared.stl")
    files = collect_model_files(tmp_path / "robot" / "robot.xml")
    assert (files.folder, files.names) == (tmp_path / "robot", ("a.stl", "robot.xml"))
    for target, said in (("../secret", "is a link to .*secret, which is no file of a model"), ("a.stl", "is missing")):
        mesh.unlink()
        mesh.symlink_to(target)
        with pytest.raises(TaskError, match=said):
            collect_model_files(tmp_path / "robot" / "robot.xml")


def test_a_model_in_utf_16_is_told_to_be_saved_as_utf_8(tmp_path):
    (tmp_path / "robot.xml").write_text('<?xml version="1.0" encoding="utf-16"?><mujoco/>', encoding="utf-16")
    with pytest.raises(TaskError, match="is UTF-16, which MuJoCo does not read; save it as UTF-8"):
        find_env(str(tmp_path / "robot.xml"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.com/go1.xml", "is an address, and a robot is a file on this machine: download it"),
        ("http://example.com/go1", "is an address"),
        ("go1.urdf.xacro", "it is a template, from which `xacro FILE -o robot.urdf` makes one"),
        ("world.sdf", "is no MJCF or URDF file: convert it to URDF or MJCF"),
        ("go1.USD", "convert it to MJCF or URDF"),
        ("go1.mjb", "it is a compiled model; give the file that it was compiled from"),
        (".", "is a folder: give one of its files: puppy.xml"),
        ("empty", "is a folder, and it holds no MJCF or URDF file"),
        ("folder.xml", "is a folder, and it holds no MJCF or URDF file"),
    ],
)
def test_what_is_no_model_file_is_one_line_that_says_what_helps(tmp_path, name, said):
    write_puppy(tmp_path)
    for folder in ("empty", "folder.xml"):
        (tmp_path / folder).mkdir()
    with pytest.raises(TaskError, match=said) as caught:
        robots.find_robot_files(name, tmp_path)
    assert "\n" not in str(caught.value)


def test_two_parts_may_attach_the_same_model(tmp_path):
    (tmp_path / "leg.xml").write_text("<mujoco/>")
    assets = '<model name="a" file="leg.xml"/><model name="b" file="leg.xml"/>'
    (tmp_path / "robot.xml").write_text(f"<mujoco><asset>{assets}</asset></mujoco>")
    assert collect_model_files(tmp_path / "robot.xml").names == ("leg.xml", "robot.xml")


def test_a_file_that_is_not_there_and_a_name_that_is_none_are_one_line(tmp_path):
    with pytest.raises(TaskError, match=r"there is no robot file .*gone.xml'; give the path of an MJCF or URDF file"):
        find_env(str(tmp_path / "gone.xml"))
    with pytest.raises(TaskError, match=r"'quadrupd' names no robot.*did you mean 'quadruped'"):
        robots.find_robot_files("quadrupd", tmp_path)


# ---------------------------------------------------------------- names


def test_a_robot_has_its_file_s_name_and_that_of_its_folder_where_it_is_a_scene(tmp_path):
    (tmp_path / "unitree_go1").mkdir()
    (tmp_path / "unitree_go1" / "scene.xml").write_text(spell_puppy())
    assert find_env(str(tmp_path / "unitree_go1" / "scene.xml"))[0].env_id == "robot/unitree_go1"
    assert find_env(str(write_puppy(tmp_path)))[0].env_id == "robot/puppy"
    assert find_env("quadruped")[0].env_id == "robot/quadruped"


def test_a_robot_of_the_menagerie_is_taken_from_a_checkout(tmp_path, monkeypatch):
    pytest.importorskip("mujoco_menagerie")
    (tmp_path / "unitree_go1").mkdir()
    for name in ("scene.xml", "scene_mjx.xml", "go1.xml", "go1_mjx.xml"):
        (tmp_path / "unitree_go1" / name).write_text(spell_puppy())
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    spec, _ = find_env("menagerie:unitree_go1")
    assert (spec.env_id, spec.kwargs["model"]) == ("robot/unitree_go1", "scene.xml")
    assert store.find_model_file("scene.xml", str(spec.kwargs["digest"])).is_file()
    with pytest.raises(TaskError, match=r"Unknown robot 'unitree_go9'. Did you mean 'unitree_g"):
        find_env("menagerie:unitree_go9")


def test_a_menagerie_that_is_not_installed_or_out_of_reach_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(TaskError, match=r"pip install 'rewardsmith\[menagerie\]', or give the robot's file"):
        find_env("menagerie:unitree_go1")
    monkeypatch.undo()
    pytest.importorskip("mujoco_menagerie")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "menagerie"))
    monkeypatch.setenv("MENAGERIE_BASE_URL", (tmp_path / "no_mirror").as_uri())
    with pytest.raises(TaskError, match=r"cannot be downloaded.*set MENAGERIE_ROOT") as caught:
        find_env("menagerie:unitree_go1")
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- cards and tasks


def test_a_robot_is_a_task_once_a_sentence_and_a_fitness_are_said(tmp_path):
    task = load_task("Walk forward", str(write_puppy(tmp_path)), "last(height)")
    assert task.env.env_id == "robot/puppy"
    assert task.settings == {"search": {"baseline": False}}
    with pytest.raises(TaskError, match=r"has no task card.*--fitness"):
        load_task("Walk forward", str(write_puppy(tmp_path)))


def test_a_card_holds_the_robot_s_options_and_its_randomisation(tmp_path):
    tail = "[randomisation]\nmass = [0.9, 1.1]\n[search]\nenv_steps = 1_000"
    card = load_card(write_card(tmp_path, "max_episode_steps = 99", 'action = "delta"\ncontrol_hz = 25.0', tail))
    assert card.env.max_episode_steps == 99
    assert {key: card.env.kwargs[key] for key in ("model", "action", "control_hz", "randomisation")} == {
        "model": "puppy.xml",
        "action": "delta",
        "control_hz": 25.0,
        "randomisation": {"mass": [0.9, 1.1]},
    }
    assert card.settings["search"] == {"baseline": False, "env_steps": 1_000}
    assert load_card(write_card(tmp_path, robot="control_hz = 25.0")).env.max_episode_steps == 250


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"head": 'env_id = "Ant-v5"'},
            r"env_id names an environment, and \[robot\] another; keep one of the two",
        ),
        ({"head": "kwargs = { a = 1 }"}, r"the options of a robot stand under \[robot\], not in kwargs"),
        ({"robot": "actoin = 1"}, "there is no option 'actoin'; did you mean 'action'"),
        ({"tail": "[randomisation]\nmass = [2, 1]"}, "a range is two finite numbers, the lower one first"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path, parts, said):
    with pytest.raises(TaskError, match=said) as caught:
        load_card(write_card(tmp_path, **parts))
    assert "card.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_an_option_from_the_command_line_is_checked_and_replaces_the_card_s(tmp_path):
    env = load_card(write_card(tmp_path, robot='action = "delta"')).env
    assert EnvOptions({"action": "torque"}).apply(env).kwargs["action"] == "torque"
    with pytest.raises(TaskError, match=r"action = 'fast': input should be"):
        EnvOptions({"action": "fast"}).apply(env)


def test_a_new_card_can_be_loaded_and_names_the_robot_from_its_own_folder(tmp_path):
    (tmp_path / "cards").mkdir()
    file = write_puppy(tmp_path)
    env, _ = find_env(str(file))
    signals = (
        Signal("obs", (15,), "1", "all", "obs"),
        Signal("height", (), "m", "height of 'trunk'", "xpos[trunk,2]"),
        Signal("forward_velocity", (), "m/s", "speed", "obs[3]"),
    )
    options = {
        "action": "position",
        "action_scale": 0.25,
        "control_hz": 50.0,
        "start": "home",
        "start_noise": 0.05,
        "end": "height < 0.1",
    }
    probe = Probe(
        signals,
        (2,),
        (-1.0,) * 2,
        (1.0,) * 2,
        None,
        (15,),
        500,
        64,
        action_names=("front", "rear"),
        about='A "robot" with\\two legs.',
        robot_options=options,
    )
    card = tmp_path / "cards" / "puppy.toml"
    card.write_text(render_robot_card(env, probe, str(file), card.parent), encoding="utf-8")
    loaded = load_card(card)
    assert loaded.env.kwargs == {**env.kwargs, **options}
    assert [signal.name for signal in loaded.env.signals] == ["height", "forward_velocity"]
    assert "FILL IN" in loaded.text
