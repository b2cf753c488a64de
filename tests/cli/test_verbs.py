"""Every verb on one small finished search."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib import metadata
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from fakes.paths import REWARDS

from rewardsmith.contract.errors import RunError
from rewardsmith.report.estimates import CandidateEstimates
from rewardsmith.report.result_lines import format_estimate
from rewardsmith.report.tables import make_console, print_candidates
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.run import check_is_free
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.training import policy as policies

GOOD = REWARDS / "pendulum_good.py"
SMALL = ["--population", "2", "--generations", "1", "--steps", "4096"]
QUICK = ["--set", "search.final_seeds=2", "--set", "evaluation.episodes=2", "--set", "evaluation.final_episodes=2"]


def rewardsmith(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=200)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def reported(folder: Path, run: str = "run") -> str:
    """The reported fitness with its interval, as in the tables."""
    result = Run.open(folder / run).read_result()
    assert result is not None
    assert result.reported is not None
    return format_estimate(result.reported)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a finished search in run/."""
    folder = tmp_path_factory.mktemp("verbs")
    text = rewardsmith(folder, "design", "Swing up", "--env", "Pendulum-v1", *SMALL, *QUICK, "--out", "run")
    assert "The best program" in text
    assert "the symbolic designer" in text
    return folder


def test_show_lists_the_result_and_one_candidate(folder):
    assert "g0c01" in rewardsmith(folder, "show", "run")
    one = rewardsmith(folder, "show", "run", "--candidate", "g0c00")
    assert "def reward" in one
    assert "Over training" in one
    result = json.loads(rewardsmith(folder, "show", "run", "--json"))
    assert len(result["reported"]["values"]) == 2


def test_show_draws_a_picture(folder):
    rewardsmith(folder, "show", "run", "--svg", "run.svg")
    assert (folder / "run.svg").read_text().startswith("<svg")


def test_export_writes_a_file_that_runs_without_rewardsmith(folder):
    told = rewardsmith(folder, "export", "run", "--out", "exported.py")
    assert f"fitness {reported(folder)}" in told
    code = (
        "import sys; sys.modules['rewardsmith'] = None\n"
        "import gymnasium, exported\n"
        "env = exported.RewardWrapper(gymnasium.make('Pendulum-v1')); env.reset(seed=0)\n"
        "_, reward, _, _, info = env.step(env.action_space.sample())\n"
        "total = sum(exported.WEIGHTS.get(name, 1.0) * value for name, value in info['reward_terms'].items())\n"
        "assert abs(reward - total) < 1e-9, (reward, total)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, timeout=60)


def test_export_says_that_the_seal_ends_and_how_the_environment_is_made(folder):
    lines = rewardsmith(folder, "export", "run", "--out", "sealed.py").splitlines()
    assert lines[-1].startswith("the seal ends with this file: the program runs with the rights of whoever runs it")
    assert "RewardWrapper(gymnasium.make('Pendulum-v1'))" in lines[-2]
    header = (folder / "sealed.py").read_text().split('"""')[1]
    program = folder / "run" / "reward.py"
    assert f"Tested        sha256 {hashlib.sha256(program.read_bytes()).hexdigest()}" in header
    assert f"Fitness       {reported(folder)}, of " in header
    assert f"Tested with   rewardsmith {metadata.version('rewardsmith')}" in header


def test_check_accepts_a_good_program(folder):
    verdict = json.loads(rewardsmith(folder, "check", str(GOOD), "--env", "Pendulum-v1", "--json"))
    assert verdict["accepted"]
    assert verdict["trial_scoring"]["transitions"] > 100


def test_train_measures_a_file_over_its_seeds(folder):
    options = ["--steps", "4096", "--seeds", "2", "--baseline", "--json", "--out", "trained"]
    lines = rewardsmith(folder, "train", str(GOOD), "--env", "Pendulum-v1", *options, *QUICK[2:]).splitlines()
    result = json.loads(lines[-1])
    assert [len(result[name]["values"]) for name in ("reported",)] == [2]
    assert len(result["baselines"]["environment_reward"]["values"]) == 2
    assert result["baselines"]["random"] is not None
    assert result["env_steps"] == 4 * 4096
    resumed = rewardsmith(folder, "resume", "trained")
    assert "this program, trained on 2 seeds" in resumed
    assert ["training", "seed", "fitness", "environment", "reward"] in [line.split() for line in resumed.splitlines()]
    told = rewardsmith(folder, "export", "trained", "--out", "trained.py")
    assert f"candidate user, fitness {reported(folder, 'trained')}" in told
    assert "def reward" in (folder / "trained.py").read_text()


def test_envs_lists_cards_and_shows_one(folder):
    assert "Hopper-v5" in rewardsmith(folder, "envs")
    card = rewardsmith(folder, "envs", "Hopper-v5")
    assert "torso_height" in card
    assert "x_position[-1]" in card


def test_a_dry_run_refuses_a_folder_that_is_taken(folder):
    command = [sys.executable, "-m", "rewardsmith", "design", "x", "--env", "Pendulum-v1", "--dry-run", "--out", "run"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=100)
    assert (answer.returncode, "run is not empty; resume it with" in answer.stderr) == (2, True)


def test_a_finished_run_is_listed(folder):
    (folder / "runs").mkdir()
    (folder / "run").rename(folder / "runs" / "one")
    assert f"runs/one  {reported(folder / 'runs', 'one')}  Pendulum-v1  Swing up" in rewardsmith(folder, "show")
    result = folder / "runs" / "one" / "result.json"
    kept = result.read_text(encoding="utf-8")
    result.write_text(json.dumps(json.loads(kept) | {"reported": None}), encoding="utf-8")
    assert "expected when retrained)  Pendulum-v1" in rewardsmith(folder, "show")
    result.unlink()
    assert "runs/one  not finished  Pendulum-v1" in rewardsmith(folder, "show")
    result.write_text(kept, encoding="utf-8")
    (folder / "runs" / "one").rename(folder / "run")


def test_python_gives_the_same_records(tmp_path):
    code = (
        "import rewardsmith\n"
        "small = {'search.population': 1, 'search.generations': 1, 'search.env_steps': 2048,\n"
        "         'search.final_seeds': 0, 'evaluation.episodes': 1}\n"
        "result = rewardsmith.design('Swing up', 'Pendulum-v1', settings=small, out='run')\n"
        "assert isinstance(result, rewardsmith.Result)\n"
        "assert rewardsmith.resume('run') == result\n"
        "assert rewardsmith.load_reward('run/reward.py').source == result.best.proposal.source"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120)


def test_a_run_without_a_candidate_can_be_shown(tmp_path):
    run = Run.create(tmp_path / "run", load_task("Hop", "hopper"), Config())
    assert "no candidate yet" in rewardsmith(tmp_path, "show", "run")
    print_candidates(run.read_candidates(), CandidateEstimates(), make_console(StringIO()))


def test_a_folder_that_is_no_run_is_not_offered_to_be_resumed(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty; choose another --out"):
        check_is_free(tmp_path)


@pytest.mark.parametrize(
    ("form", "file"), [("onnx", "policy.onnx"), ("sb3", "policy.zip"), ("torchscript", "policy.pt")]
)
def test_export_writes_the_policy_and_the_lines_that_run_it(folder, form, file):
    printed = rewardsmith(folder, "export", "run", "--policy", form)
    assert printed.startswith(f"{file}: final, training seed 100")
    assert "the best of 2 seeds" in printed and "it observes the environment's own observation (3 numbers)" in printed

    # The printed lines, run as they are, act as the policy of that training does.
    lines = "\n".join(line.strip() for line in printed.splitlines() if line.startswith("    "))
    check = "import numpy; numpy.save('action.npy', action); numpy.save('obs.npy', obs)"
    subprocess.run([sys.executable, "-c", f"{lines}\n{check}"], check=True, cwd=folder)
    seed = printed.partition("training seed ")[2].partition(",")[0]
    (trained,) = (folder / "run" / "final").glob(f"*/train-s{seed}")
    expected = policies.load(trained).act(np.load(folder / "obs.npy").astype(float)[None])[0]
    assert np.abs(np.load(folder / "action.npy") - expected).max() < 1e-5
    assert refused(folder, "export", "run", "--policy", form) == (
        f"rewardsmith: {file} exists; --force overwrites it, --out names another file\n"
    )


def test_play_films_where_there_is_no_screen(folder, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    printed = rewardsmith(folder, "play", "run", "--candidate", "g0c00")
    assert (folder / printed.splitlines()[-1]).is_file()


def test_a_policy_that_is_gone_names_the_command_that_trains_it_again(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    for policy in (tmp_path / "run").rglob("policy.safetensors"):
        policy.unlink()
    said = refused(tmp_path, "export", "run", "--policy", "onnx", "--candidate", "g0c01")
    assert "the policy of 'g0c01' is gone" in said and "trains it again" in said
    command = said.partition("`")[2].partition("`")[0]
    assert command.startswith("rewardsmith train run/candidates/g0c01/reward.py --env Pendulum-v1 --fitness ")
    assert command.endswith("--steps 4096") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "tflite"], "--policy 'tflite': a policy is written as onnx, sb3, torchscript"),
        (["--policy", "sb3", "--candidate", "random", "--force"], "'random' acts without a policy; name a candidate"),
        (["--policy", "sb3", "--unsafe"], "--unsafe is for programs; a policy is numbers alone"),
    ],
)
def test_what_is_no_policy_is_refused_in_a_line(folder, options, said):
    assert said in refused(folder, "export", "run", *options)


def refused(folder: Path, *arguments: str) -> str:
    """Return the line in which a command refuses."""
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=200)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    return answer.stderr
