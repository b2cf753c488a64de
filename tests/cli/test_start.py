"""The start of the command: its time, and the modules that it does not import."""

import subprocess
import sys

HEAVY = ("torch", "gymnasium", "mujoco", "stable_baselines3", "numpy", "openai", "rich", "docker", "jinja2")


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['rewardsmith', '--version']\n"
        "from rewardsmith.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, imported = answer.stdout.splitlines()
    assert version.startswith("rewardsmith 0.")
    assert imported == "[]"


def test_the_orchestrator_imports_neither_torch_nor_a_simulator():
    code = (
        "import sys, rewardsmith.api.searches, rewardsmith.search.loop, rewardsmith.cli.main, rewardsmith.llm\n"
        "print([name for name in ('torch', 'gymnasium', 'mujoco', 'stable_baselines3') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
