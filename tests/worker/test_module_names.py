"""Strings that name modules name existing modules: those that the warm worker preloads, and those for `python -m`."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

import rewardsmith
from rewardsmith.worker.server import PRELOADED_MODULES, TRAINING_MODULES

MODULE_NAME = re.compile(r"(rewardsmith(?:\.\w+)+)(?::(\w+))?")
IN_PROGRAMS = "rewardsmith.shaping"
"""Name that reward programs import; the sandbox provides it."""


def find_module_names() -> list[tuple[str, str | None]]:
    """Return every module, with its attribute if there is one, that a string constant of the package names."""
    names: set[tuple[str, str | None]] = set()
    for file in Path(rewardsmith.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                match = MODULE_NAME.fullmatch(node.value)
                if match and match[1] != IN_PROGRAMS:
                    names.add((match[1], match[2]))
    return sorted(names, key=str)


@pytest.mark.parametrize("module", [*PRELOADED_MODULES, *TRAINING_MODULES])
def test_preloaded_modules_can_be_imported(module: str) -> None:
    importlib.import_module(module)


@pytest.mark.parametrize(("module", "attribute"), find_module_names())
def test_modules_named_in_strings_exist(module: str, attribute: str | None) -> None:
    assert importlib.util.find_spec(module) is not None
    if attribute:
        assert hasattr(importlib.import_module(module), attribute)
