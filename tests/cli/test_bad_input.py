"""A user's mistake gives one line with the next step, exit code 2, no traceback, and leaves nothing behind."""

import subprocess
import sys

import pytest

HOPPER = ("--env", "Hopper-v5")
SYMBOLIC = ("--designer", "symbolic")
LABELLED = "told = { provider = 'labelled', events = ['z_velocity'] }"


def rewardsmith(tmp_path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, env=variables)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("design", "x", "--env", "Hoper-v5", *SYMBOLIC), "near it: Hopper-v5"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--fitness", "x_position[-1"), "was never closed"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--set", "search.poplation=3"), "did you mean 'population'"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--population", "0"), "must be at least 1"),
        (("design", "x", *HOPPER, "--designer", "llm"), "--model NAME"),
        (("design", "x", *HOPPER, "--model", "m"), "set OPENAI_API_KEY"),
        (("design", "x", *HOPPER, "--model", "m", "--budget-usd", "1"), "llm.price_in_usd"),
        (("design", "x", *HOPPER, "--llm-replay", "missing.jsonl"), "missing.jsonl"),
        (("resume", "nowhere"), "run directory"),
        (("show", "nowhere"), "run directory"),
        (("show", "--candidate", "g0c00"), "--candidate needs a run"),
        (("show", "--svg", "run.svg"), "--svg needs a run"),
        (("show", "run", "--prompt"), "--prompt needs a candidate"),
        (("show", "run", "--svg", "run.svg", "--candidate", "g0c00"), "leave --candidate out"),
        (("export", "nowhere"), "run directory"),
        (("check", "missing.py", *HOPPER), "cannot read the reward file 'missing.py'"),
        (("train", "missing.py", *HOPPER), "cannot read the reward file 'missing.py'"),
        (("check", "missing.py", "--env", "CartPole-v1"), "cannot read the reward file 'missing.py'"),
        (("compare", "missing.py", "x", *HOPPER), "no reward file or run 'missing.py'"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--set", "population=3"), "did you mean 'search.population'"),
        (("design", "x", *HOPPER, "--steps", "5", "--set", "search.env_steps=6"), "is given twice: 5 by the command"),
        (("design", "x", *HOPPER, "--designer", "llm", "--dry-run"), "--model NAME"),
        (("design", "x", *HOPPER, "--model", "m", "--dry-run"), "set OPENAI_API_KEY"),
        (("design", "x", *HOPPER, "--fitness", "mean(z_vel)", "--dry-run"), "near it: z_velocity"),
        (("record", "demo.npz"), "say who acts: --run RUN"),
        (("record", "demo.npz", *HOPPER), "--env ENV --act MODULE:FUNCTION"),
        (("record", "demo.npz", "--run", "nowhere"), "run directory"),
        (("record", "demo.npz", *HOPPER, "--act", "expert"), "names nothing to import"),
        (("fit", "missing.py", *HOPPER, "--demo", "demo.npz"), "cannot read the reward file 'missing.py'"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--demo", "demo.npz"), "--demo: signal 'progress': cannot read the demon"),
        (("train", "missing.py", "--env", "Foo-v0", "--fitness", "auto"), "cannot read the reward file 'missing.py'"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--signal", LABELLED), "--model labeller=NAME"),
        (("design", "x", *HOPPER, "--model", "m", "--signal", LABELLED, "--executor", "slurm"), "brings no captions"),
        (("envs", "Hoper"), "Hopper"),
        (("design", "x", *HOPPER, "--population", "1e9"), "'--population': must be a valid integer"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--population", "9" * 20), "must be at most 1e+06"),
        (("design", "x", *HOPPER, *SYMBOLIC, "--executor", "ray:host"), "ray:HOST:PORT"),
        (("design", "x", *HOPPER, "--model", ""), "the name is empty"),
        (("design", "x", *HOPPER, "--model", "critic="), "the name is empty"),
        (("desing", "x"), "did you mean 'design'"),
        (("show", "--nope"), "no such option: --nope"),
    ],
)
def test_a_mistake_is_told_in_a_line_and_leaves_nothing(tmp_path, arguments, message):
    answer = rewardsmith(tmp_path, *arguments)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert message.lower() in answer.stderr.lower()
    assert "Traceback" not in answer.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--env", "Foo-v9", "--fitness", "obs[-1]"), "no environment 'Foo-v9'"),
        (("--env", "CartPole-v1", "--fitness", "obss[-1]"), "near it: obs"),
        (("--env", "CartPole-v1", "--fitness", "obss[-1]", "--dry-run"), "near it: obs"),
    ],
)
def test_what_only_the_worker_can_know_leaves_nothing_either(tmp_path, arguments, message):
    answer = rewardsmith(tmp_path, "design", "x", *arguments, *SYMBOLIC)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert message in answer.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


CARD = """
env_id = "Hoper-v5"
text = "Hop."
about = "a leg"
action = "three torques"
fitness = "mean(height)"
signals.height = { source = "qpos[rootz]", unit = "m", meaning = "height" }
"""


def test_a_dry_run_makes_the_environment_of_a_card_of_the_user_s(tmp_path):
    (tmp_path / "mine.toml").write_text(CARD)
    answer = rewardsmith(tmp_path, "design", "x", "--env", "mine.toml", *SYMBOLIC, "--dry-run")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("rewardsmith: no environment 'Hoper-v5' is registered")
    assert answer.stderr.count("\n") == 1
    (tmp_path / "mine.toml").write_text(CARD.replace("Hoper", "Hopper"))
    assert rewardsmith(tmp_path, "design", "x", "--env", "mine.toml", *SYMBOLIC, "--dry-run").returncode == 0


def test_a_dead_endpoint_is_named_and_the_run_can_go_on(tmp_path):
    options = ("--model", "m", "--set", "llm.retries=0", "--out", "run")
    answer = rewardsmith(tmp_path, "design", "x", *HOPPER, *options, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert answer.returncode == 1
    assert "cannot reach the language model at http://127.0.0.1:9/v1" in answer.stderr
    assert "rewardsmith resume run" in answer.stderr
    assert (tmp_path / "run" / "journal.jsonl").exists()


def test_a_program_that_the_critic_refuses_is_told_with_file_and_line(tmp_path):
    (tmp_path / "bad.py").write_text("def reward(after):\n    return {'up': after.torso_hight}\n")
    answer = rewardsmith(tmp_path, "check", "bad.py", *HOPPER)
    assert answer.returncode == 1
    assert "bad.py:2: error:" in answer.stdout
    assert "torso_height" in answer.stdout
