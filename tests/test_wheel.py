"""The built wheel, installed into an empty environment, carries everything that a command needs."""

import json
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from fakes.paths import CHECKOUT


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel and install it alone into a new venv; its dependencies are lent by this one."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "venv"), "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "venv"


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(installed / "bin" / "rewardsmith"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=installed, timeout=60)


def test_the_installed_command_lists_the_tasks_it_carries(installed):
    answer = run(installed, "envs", "--json")
    assert answer.returncode == 0, answer.stderr
    assert {"Hopper-v5", "Pendulum-v1"} <= {card["env"]["env_id"] for card in json.loads(answer.stdout)}


def test_the_data_comes_from_the_wheel_not_from_the_checkout(installed):
    code = """
from rewardsmith.contract.package_data import find_data_folder
print(find_data_folder("prompts"), find_data_folder("sandbox"))
"""
    python = str(installed / "bin" / "python")
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=installed)
    assert answer.stdout.count(str(installed)) == 2, answer.stderr


def test_a_planned_search_needs_nothing_but_the_wheel(installed):
    options = ("--env", "Hopper-v5", "--designer", "symbolic", "--dry-run", "--json")
    answer = run(installed, "design", "Hop forward", *options)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["config"]["search"]["designer"] == "symbolic"


def test_the_installed_command_carries_the_presets_and_the_library(installed):
    names = [preset["name"] for preset in json.loads(run(installed, "presets", "--json").stdout)]
    assert names[0] == "smith"
    assert "eureka" in names
    assert "pendulum-swing-up" in run(installed, "library", "list", "--json").stdout


def test_the_installed_command_carries_the_demo_and_its_recorded_answers(installed):
    answer = run(installed, "demo", "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert f'replay = "{installed}' in answer.stdout
    assert "rewardsmith/_data/prompts/demo/hopper_back_flip.jsonl" in answer.stdout


def test_the_installed_command_carries_the_page_for_coding_agents(installed, tmp_path):
    answer = run(installed, "skill", "install", str(tmp_path))
    assert answer.returncode == 0, answer.stderr
    page = (CHECKOUT / "skills" / "rewardsmith" / "SKILL.md").read_text()
    assert (tmp_path / "rewardsmith" / "SKILL.md").read_text() == page


def test_links_and_pictures_of_the_readme_are_absolute_where_pypi_shows_it(installed):
    (site,) = (installed / "lib").glob("python*/site-packages")
    (metadata,) = site.glob("rewardsmith-*.dist-info/METADATA")
    text = metadata.read_text(encoding="utf-8")
    (home,) = re.findall(r"^Project-URL: Homepage, (\S+)$", text, re.MULTILINE)
    pages, raw = f"{home}/blob/main/", home.replace("//github.com/", "//raw.githubusercontent.com/") + "/main/"
    links = re.findall(r"(!?)\[[^\[\]]*\]\(([^)]+)\)", text)
    assert sum(bool(mark) for mark, _ in links) >= 2, "the pictures are gone"
    for mark, target in links:
        folder = raw if mark else pages
        assert target.startswith(folder), target
        assert (CHECKOUT / target.removeprefix(folder)).is_file(), target
