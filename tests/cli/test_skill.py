"""The page for coding agents: written from the help texts, installed where an agent reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fakes.paths import CHECKOUT
from typer.testing import CliRunner

from rewardsmith.cli.main import app
from rewardsmith.cli.skill import render_skill
from rewardsmith.contract.errors import ConfigError

PAGE = CHECKOUT / "skills" / "rewardsmith" / "SKILL.md"
REWRITE = (
    ".venv/bin/python -c 'from rewardsmith.cli.skill import render_skill; print(render_skill(), end=\"\")' "
    "> skills/rewardsmith/SKILL.md"
)


def test_the_page_is_what_the_help_texts_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render_skill(), f"write it again: {REWRITE}"


def test_the_page_is_one_page_and_names_every_tool() -> None:
    from rewardsmith.api.coding_agent.catalogue import summarize_tools

    page = render_skill()
    assert len(page.splitlines()) <= 90
    assert page.startswith("---\nname: rewardsmith\ndescription: ")
    for name, line in summarize_tools():
        assert f"- `{name}`: {line}" in page
        assert line.endswith(".")


def test_installing_copies_the_page_and_keeps_a_changed_one(tmp_path: Path) -> None:
    runner = CliRunner()
    first = runner.invoke(app, ["skill", "install", str(tmp_path)])
    file = tmp_path / "rewardsmith" / "SKILL.md"
    assert first.exit_code == 0
    assert file.read_text() == PAGE.read_text()
    assert "is up to date" in runner.invoke(app, ["skill", "install", str(tmp_path)]).output

    file.write_text("mine")
    refused = runner.invoke(app, ["skill", "install", str(tmp_path)])
    assert isinstance(refused.exception, ConfigError)
    assert "--force overwrites it" in str(refused.exception)
    assert runner.invoke(app, ["skill", "install", str(tmp_path), "--force"]).exit_code == 0
    assert file.read_text() == PAGE.read_text()


def test_the_page_can_be_printed() -> None:
    assert CliRunner().invoke(app, ["skill", "show"]).output.strip() == PAGE.read_text().strip()


def test_a_machine_without_the_mcp_package_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['mcp'] = None; sys.argv = ['rewardsmith', 'mcp']\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'mcp' else found(name, *rest)\n"
        "from rewardsmith.cli.main import run; run()\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert answer.returncode == 2
    assert answer.stderr.strip() == "rewardsmith: coding agents need the package mcp: pip install 'rewardsmith[mcp]'"


@pytest.mark.parametrize("verb", ["mcp", "skill"])
def test_help_of_the_verbs_loads_neither_mcp_nor_numpy(verb: str) -> None:
    code = (
        f"import sys; sys.argv = ['rewardsmith', {verb!r}, '--help']\n"
        "from rewardsmith.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('mcp', 'numpy', 'torch', 'anyio') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
