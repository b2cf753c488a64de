"""The build id covers all code that the three kinds of process share or run behind the border."""

import shutil

import pytest

from rewardsmith.contract import build_id, job_messages
from rewardsmith.contract.errors import Upgraded


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the installed package, which a test may change."""
    shutil.copytree(build_id.PACKAGE, tmp_path / "rewardsmith", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(build_id, "PACKAGE", tmp_path / "rewardsmith")
    monkeypatch.setattr(build_id, "RUNNING_BUILD", build_id.compute_build_id())
    return tmp_path / "rewardsmith"


def test_the_three_packages_behind_the_borders_count():
    assert build_id.BEHIND_BORDERS == ("contract", "sandbox", "worker")


def test_equal_files_have_the_same_id_wherever_they_lie(package, tmp_path, monkeypatch):
    monkeypatch.setattr(build_id, "PACKAGE", shutil.copytree(package, tmp_path / "elsewhere"))
    assert build_id.compute_build_id() == build_id.RUNNING_BUILD


def test_a_renamed_error_class_is_caught_by_the_handshake(package):
    errors = package / "contract" / "errors.py"
    errors.write_text(
        errors.read_text(encoding="utf-8").replace("class TaskError(", "class CardError("), encoding="utf-8"
    )
    with pytest.raises(Upgraded, match="a worker is"):
        build_id.check_same_build(build_id.compute_build_id(), "a worker")

    # Without the handshake, the message of such a worker could not be read.
    with pytest.raises(AttributeError, match="CardError"):
        job_messages.JobRefused("CardError", "no such signal").to_error()


@pytest.mark.parametrize("file", ["contract/python_ast.py", "sandbox/inside/wire.py", "worker/training/ppo.py"])
def test_a_change_in_each_of_them_changes_the_id(package, file):
    with (package / file).open("a", encoding="utf-8") as source:
        source.write("# changed\n")
    assert build_id.compute_build_id() != build_id.RUNNING_BUILD


def test_a_new_module_behind_the_borders_changes_the_id(package):
    (package / "worker" / "new_module.py").write_text("", encoding="utf-8")
    assert build_id.compute_build_id() != build_id.RUNNING_BUILD


def test_a_change_in_the_orchestrator_alone_does_not(package):
    with (package / "search" / "loop.py").open("a", encoding="utf-8") as source:
        source.write("# changed\n")
    assert build_id.compute_build_id() == build_id.RUNNING_BUILD
