"""The examples of docs/python.md run as they stand, in a process of their own, which never loads torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fakes.paths import CHECKOUT

PAGE = CHECKOUT / "docs" / "python.md"
CODE = f"""
import doctest, sys
flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
outcome = doctest.testfile({str(PAGE)!r}, module_relative=False, optionflags=flags, encoding="utf-8")
print(outcome.attempted, outcome.failed, "torch" in sys.modules)
"""


def test_the_examples_of_the_python_page_run(tmp_path: Path) -> None:
    answer = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, cwd=tmp_path)
    attempted, failed, has_torch = answer.stdout.splitlines()[-1].split()
    assert failed == "0", answer.stdout + answer.stderr
    assert int(attempted) > 20
    assert has_torch == "False"
