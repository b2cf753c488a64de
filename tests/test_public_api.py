"""The public names of `import rewardsmith`, and the time that the import takes."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import rewardsmith


def test_every_public_name_is_there_and_listed() -> None:
    for name in rewardsmith.__all__:
        assert getattr(rewardsmith, name) is not None
        assert name in dir(rewardsmith)
        assert name in (rewardsmith.__doc__ or "")


def test_the_version_is_that_of_the_installed_package() -> None:
    assert rewardsmith.__version__ == metadata.version("rewardsmith")


def test_another_name_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'desing'; it has Result, .*design"):
        rewardsmith.desing  # noqa: B018


def test_the_import_alone_loads_nothing_else() -> None:
    code = "import sys, rewardsmith; print(sorted(name for name in sys.modules if name.startswith('rewardsmith')))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "['rewardsmith']"
