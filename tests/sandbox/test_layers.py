"""The layers of the seal: those that hold a process here, and the description of a machine with fewer layers."""

from __future__ import annotations

import pytest
from fakes.sandbox_backends import LAYOUT

from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.sandbox import check_sandbox, doctor, open_process
from rewardsmith.sandbox.layers import MANDATORY_LAYERS, describe_layers, list_missing_layers

ALL = ("namespaces", "empty-root", "no-privileges", "landlock", "limits", "no-new-privs", "seccomp")


def test_a_process_reports_the_layers_that_hold_it() -> None:
    program = parse_program("def reward(action):\n    return {'a': 1.0}")
    with open_process(program, LAYOUT, Limits("local")) as process:
        assert set(MANDATORY_LAYERS) <= set(process.layers) <= set(ALL)


@pytest.mark.parametrize(
    ("layers", "line"),
    [
        (ALL, "seccomp, no-new-privs, limits, landlock, namespaces, empty-root, no-privileges"),
        (
            [layer for layer in ALL if layer != "landlock"],
            "seccomp, no-new-privs, limits, namespaces, empty-root, no-privileges "
            "(fewer layers than usual: no Landlock on this kernel)",
        ),
        (
            ["no-privileges", "landlock", "limits", "no-new-privs", "seccomp"],
            "seccomp, no-new-privs, limits, landlock, no-privileges "
            "(fewer layers than usual: no namespaces for this user, no empty root folder)",
        ),
        (["container", "landlock", *MANDATORY_LAYERS], "container, seccomp, no-new-privs, limits, landlock"),
    ],
    ids=["all", "no-landlock", "no-namespaces", "container"],
)
def test_layers_are_told_in_one_line_with_those_that_are_missing(layers: list[str], line: str) -> None:
    assert describe_layers(layers) == line
    assert bool(list_missing_layers(layers)) == ("fewer" in line)


def test_the_doctor_names_the_layers_and_says_that_they_are_fewer_than_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    seal = next(check for check in check_sandbox() if check.name == "seal")
    assert seal.ok and "seccomp, no-new-privs, limits" in seal.detail

    monkeypatch.setattr(doctor, "_list_seal_layers", lambda: tuple(layer for layer in ALL if layer != "landlock"))
    checks = {check.name: check for check in check_sandbox()}
    assert checks["seal"].ok
    assert "fewer layers than usual: no Landlock on this kernel" in checks["seal"].detail
    assert not checks["landlock"].ok and checks["landlock"].fix
