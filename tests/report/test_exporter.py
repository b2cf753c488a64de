"""An exported file gives, without rewardsmith, the rewards of a training."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import gymnasium
import numpy as np
import pytest

from rewardsmith.contract.errors import ProgramError, TaskError
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Limits, Signal
from rewardsmith.contract.reward_files import load_reward, read_source
from rewardsmith.contract.reward_program import STATES, RewardProgram, Transitions, parse_program
from rewardsmith.report.export import wrapper_template
from rewardsmith.report.export.exporter import ExportOrigin, export_program, spell_make_call
from rewardsmith.sandbox import ProgramLayout, open_process
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.envs import mujoco_fields
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs

STEPS = 200
HOPPER = """
    '''Hop.'''
    from __future__ import annotations
    import numpy as np
    from shaping import smooth_step as soft

    WEIGHTS = {"progress": 1.5, "effort": 0.1}

    def reward(before, action, after, start):
        upright = shaping.tolerance(after.torso_pitch, (-0.1, 0.1), margin=0.3)
        return {
            "progress": after.x_velocity * upright + (after.x_position - before.x_position),
            "effort": -np.sum(action**2, axis=1),
            "lifted": soft(after.foot_height - start.foot_height, 0.0, 0.3),
            "spin": np.abs(after.joint_velocities).max(axis=1),
        }
"""
REACHER = """
    def reward(after):
        speed = np.sum(after.fingertip_velocity**2, axis=1)
        near = -shaping.distance(after.fingertip_position, after.target_position)
        return {"near": near - after.target_distance, "calm": -speed}
"""
PENDULUM = """
    MEMORY = {"best": -2.0}

    def reward(after, memory):
        gain = np.maximum(after.cos_angle - memory.best, 0.0)
        memory.best = np.maximum(memory.best, after.cos_angle)
        return {"gain": gain, "level": -shaping.wrap_angle(after.angle) ** 2}
"""
ANT = """
    def reward(after):
        return {"force": np.sum(after.torso_contact_force**2, axis=1), "turn": after.torso_angular_velocity[:, 2]}
"""
FALL = """
    MEMORY = {"steps": 0.0}

    def reward(after, terminated, memory):
        memory.steps = memory.steps + 1.0
        early = terminated & (memory.steps < 20)
        return {"speed": after.x_velocity, "fall": -10.0 * terminated, "early": -1.0 * early}
"""
CARTPOLE = """
    def reward(action, after):
        return {"right": action[:, 0], "level": -np.abs(after.obs[:, 2])}
"""
DRIVER = """
    import sys
    sys.modules["rewardsmith"] = None
    import numpy as np
    import exported_reward

    actions = np.load("actions.npy")
    env = exported_reward.make()
    env.reset(seed=7)
    rewards, sums = [], []
    for action in actions:
        sent = int(action[0]) if hasattr(env.action_space, "n") else action.astype(np.float32)
        _, reward, terminated, truncated, info = env.step(sent)
        rewards.append(reward)
        weights = exported_reward.WEIGHTS
        sums.append(sum(weights.get(name, 1.0) * term for name, term in info["reward_terms"].items()))
        assert "environment_reward" in info
        if terminated or truncated:
            env.reset()
    np.save("rewards.npy", rewards)
    np.save("sums.npy", sums)
"""


def trusted(program: RewardProgram, spec: EnvSpec, actions: np.ndarray) -> np.ndarray:
    """Return the rewards of a training: the batched environment, and the reward process step by step."""
    env = make_envs(spec, 1, program.signals)
    env.reset([7])
    shapes = {signal.name: signal.shape for signal in env.layout.signals}
    memory, rewards = None, []
    with open_process(program, ProgramLayout(shapes, (env.actions.width,)), Limits()) as process:
        for action in actions:
            before, start = env.read_signals().copy(), env.read_start_signals().copy()
            sent = np.clip(action, env.actions.low, env.actions.high)[None]
            step = env.step(sent)
            packed = {"before": before, "after": step.after, "start": start}
            named = {state: env.layout.unpack_signals(packed[state], program.reads[state]) for state in STATES}
            ends = step.terminated.copy() if "terminated" in program.arguments else None
            scores = process.score(Transitions(sent, **named, terminated=ends), memory)
            rewards.append(scores.total[0])
            memory = None if len(step.ended) else scores.memory
    return np.array(rewards)


def run_alone(text: str, folder: Path, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rewards of the exported file, and the weighted sums of its terms, without rewardsmith on the path."""
    (folder / "exported_reward.py").write_text(text, encoding="utf-8")
    np.save(folder / "actions.npy", actions)
    (folder / "driver.py").write_text(dedent(DRIVER), encoding="utf-8")
    done = subprocess.run([sys.executable, "driver.py"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "rewards.npy"), np.load(folder / "sums.npy")


@pytest.mark.parametrize(
    ("env_id", "source"),
    [
        ("Hopper-v5", HOPPER),
        ("Hopper-v5", FALL),
        ("Reacher-v5", REACHER),
        ("Pendulum-v1", PENDULUM),
        ("Ant-v5", ANT),
        ("CartPole-v1", CARTPOLE),
    ],
)
def test_an_exported_file_pays_what_a_training_would(env_id: str, source: str, tmp_path: Path):
    program = parse_program(dedent(source))
    spec = EnvSpec(env_id) if env_id in ("Ant-v5", "CartPole-v1") else load_task(None, env_id).env
    signals = survey_environment(spec).signals
    spec = EnvSpec(env_id, spec.kwargs, signals, spec.max_episode_steps)
    rng = np.random.default_rng(0)
    if env_id == "CartPole-v1":
        actions = rng.integers(2, size=(STEPS, 1)).astype(np.float64)
    else:
        width = make_envs(spec, 1).actions.width
        actions = rng.normal(0.0, 1.0, size=(STEPS, width)).astype(np.float32).astype(np.float64)
    rewards, sums = run_alone(export_program(program, signals, spec), tmp_path, actions)
    np.testing.assert_allclose(rewards, trusted(program, spec, actions), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(rewards, sums)
    assert np.ptp(rewards) > 0.0


SIGNALS = (Signal("height", (), "m", "height", "qpos[1]"), Signal("speed", (), "m/s", "speed", "info[speed]"))
PLAIN = "def reward(after):\n    return {'t': after.height}\n"


def exported_text(source: str) -> str:
    return export_program(parse_program(source), SIGNALS, EnvSpec("Hopper-v5", {"frame_skip": 2}, (), 50))


def test_a_file_carries_only_the_shaping_that_its_program_uses():
    text = exported_text("def reward(after):\n    return {'t': shaping.smooth_step(after.height)}\n")
    assert "def smooth_step(" in text
    assert "def tolerance(" not in text
    assert "shaping" not in exported_text(PLAIN).replace("reshaping", "")


def test_shaping_carries_what_it_calls():
    text = exported_text(
        "from rewardsmith.shaping import tolerance\n\n" + PLAIN.replace("after.height", "tolerance(after.height)")
    )
    assert "def _falling(" in text
    assert "tolerance = shaping.tolerance" in text
    assert "import tolerance" not in text


@pytest.mark.parametrize("imported", ["import shaping", "import shaping as s, math", "from shaping import *"])
def test_imports_of_shaping_become_names_of_the_file(imported: str):
    text = exported_text(f"{imported}\n\n{PLAIN}")
    compile(text, "exported", "exec")
    assert imported not in text


def test_an_import_inside_a_function_leaves_a_function_that_runs():
    text = exported_text(
        "def reward(after):\n    import shaping\n    return {'t': shaping.distance(after.height, 0.0)}\n"
    )
    compile(text, "exported", "exec")
    assert "    pass\n    return" in text


def test_a_file_keeps_the_text_of_its_program_with_its_comments():
    source = "# why\nWEIGHTS = {'t': 2.0}  # tuned\n\n\n" + PLAIN
    assert source in exported_text(source)


def test_a_file_makes_the_environment_with_its_arguments():
    assert "ENV_KWARGS = {'frame_skip': 2, 'max_episode_steps': 50}" in exported_text(PLAIN)


def test_only_the_signals_that_the_program_names_are_read():
    text = exported_text(PLAIN)
    assert 'read("qpos", 1)' in text
    assert '"speed"' not in text


def test_a_signal_of_info_is_zero_until_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log where it runs
    source = "def reward(before, after):\n    return {'first': before.speed, 'then': after.speed}\n"
    signals = (Signal("speed", (), "m/s", "speed", "info[x_velocity]"),)
    names: dict[str, Any] = {}
    exec(compile(export_program(parse_program(source), signals, EnvSpec("HalfCheetah-v5")), "exported", "exec"), names)
    env = names["make"]()
    env.reset(seed=0)
    *_, info = env.step(np.ones(6, np.float32))
    assert info["reward_terms"] == {"first": 0.0, "then": info["x_velocity"]}


def test_a_program_whose_signal_is_not_in_the_catalogue_is_refused():
    with pytest.raises(ProgramError, match="does not have: pitch"):
        exported_text("def reward(after):\n    return {'t': after.pitch}\n")


def test_a_program_that_takes_a_name_of_the_file_is_refused():
    with pytest.raises(ProgramError, match="defines make, as the exported file does"):
        exported_text("def make():\n    return 1\n\n\n" + PLAIN)


def test_a_source_that_does_not_parse_is_refused():
    broken = (Signal("height", (), "m", "height", "qpos["),)
    with pytest.raises(TaskError):
        export_program(parse_program(PLAIN), broken, EnvSpec("Hopper-v5"))


def test_the_wrapper_knows_every_field_that_a_source_can_read():
    fields = {name: field.element.replace("dof", "joint") for name, field in mujoco_fields.FIELDS.items()}
    assert fields == wrapper_template._ELEMENTS


def test_a_file_run_by_itself_shows_what_the_terms_pay(tmp_path: Path):
    text = export_program(
        parse_program(dedent(PENDULUM)), load_task(None, "Pendulum-v1").env.signals, EnvSpec("Pendulum-v1")
    )
    (tmp_path / "reward.py").write_text(text, encoding="utf-8")
    done = subprocess.run([sys.executable, "reward.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Pendulum-v1: 200 steps of random actions")
    assert "gain" in done.stdout


def test_an_exported_file_is_read_back_as_the_program_that_it_holds_on_its_own_lines(tmp_path: Path):
    path = tmp_path / "exported.py"
    path.write_text(exported_text(PLAIN))
    assert load_reward(path).source == PLAIN
    line = read_source(path).splitlines().index("def reward(after):")
    assert path.read_text().splitlines()[line] == "def reward(after):"


# ---------------------------------------------------------------- where the seal ends

HOSTILE = "def reward(after):\n    np.zeros(2).tofile('x')\n    return {'t': after.height}\n"
ORIGIN = ExportOrigin('hop """ on\\', "g1c03", "12 [11, 13]", "mean(speed)", "0.9", ("seccomp, limits",))


def export_with_origin(source: str, origin: ExportOrigin | None = ORIGIN, unsafe: bool = False) -> str:
    return export_program(parse_program(source), SIGNALS, EnvSpec("Hopper-v5"), origin, unsafe)


def read_header(text: str) -> str:
    return ast.get_docstring(ast.parse(text)) or ""


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_program_that_writes_a_file_is_refused_with_its_line_and_the_way_out():
    with pytest.raises(ProgramError, match=r"^the program is not exported: line 2: `\.tofile`.* --unsafe$"):
        exported_text(HOSTILE)


def test_unsafe_writes_it_all_the_same_and_says_so_in_the_header():
    text = export_with_origin(HOSTILE, unsafe=True)
    assert ".tofile('x')" in text
    assert "it was NOT checked (--unsafe)" in read_header(text)


def test_the_header_says_that_the_seal_ends_and_what_was_tested():
    source = "import shaping\n\n" + PLAIN
    header = read_header(export_with_origin(source))
    assert "The seal ends with this file: the program runs with the rights of whoever runs it; its text was" in header
    assert f"Tested        sha256 {hash_text(source)}, reward.py of the run's candidate g1c03" in header
    assert "Task          hop ''' on/" in header
    assert "Fitness       12 [11, 13], of mean(speed)" in header
    assert "Tested with   rewardsmith 0.9" in header
    assert "Tested under  seccomp, limits" in header


def test_the_header_names_the_hash_of_the_program_that_is_read_back_from_the_file(tmp_path: Path):
    path = tmp_path / "exported.py"
    path.write_text(export_with_origin("import shaping\n\n" + PLAIN))
    assert f"Program       sha256 {hash_text(load_reward(path).source)}" in read_header(path.read_text())


@pytest.mark.parametrize("field", ["meaning", "unit"])
def test_texts_of_a_run_cannot_leave_their_comment(field: str):
    texts = {"meaning": "height", "unit": "m", field: "m\nimport os\x0b\u2028os.abort()"}
    signals = (Signal("height", (), texts["unit"], texts["meaning"], "qpos[1]"),)
    text = export_program(parse_program(PLAIN), signals, EnvSpec("Hopper-v5"))
    assert not any(line.startswith(("import os", "os.")) for line in text.splitlines())


def test_an_id_of_a_run_cannot_leave_its_docstring():
    text = export_program(parse_program(PLAIN), SIGNALS, EnvSpec('Hopper-v5"""\nimport os\n"""\\'))
    assert "import os" not in [line.strip() for line in text.splitlines()]
    assert read_header(text).startswith("A reward for Hopper-v5''' import os '''/")


@pytest.mark.parametrize(
    "bound",
    ["for make in (1,):\n    pass", "if True:\n    make = 1", "from math import pi as make", "x = [make := 1]"],
)
def test_a_name_of_the_file_is_refused_however_the_program_binds_it(bound: str):
    with pytest.raises(ProgramError, match="defines make, as the exported file does"):
        export_with_origin(f"{bound}\n\n\n{PLAIN}", unsafe=True)


def test_numpy_and_any_may_be_imported_as_the_file_does():
    compile(exported_text(f"import numpy\nfrom typing import Any\n\n{PLAIN}"), "exported", "exec")


def test_an_episode_begins_without_the_info_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log where it runs
    source = "def reward(before, after):\n    return {'first': before.speed}\n"
    signals = (Signal("speed", (), "m/s", "speed", "info[x_velocity]"),)
    names: dict[str, Any] = {}
    exec(compile(export_program(parse_program(source), signals, EnvSpec("HalfCheetah-v5")), "exported", "exec"), names)
    env = names["make"]()
    for _ in range(2):
        env.reset(seed=0)
        *_, info = env.step(np.ones(6, np.float32))
        assert info["reward_terms"] == {"first": 0.0}


def test_the_printed_call_makes_the_environment_with_the_arguments_of_the_card():
    spec = EnvSpec("mypkg:Grid-v0", {"size": 5, "mode": "told"}, (), 50)
    assert spell_make_call(spec) == "gymnasium.make('mypkg:Grid-v0', size=5, mode='told', max_episode_steps=50)"


@pytest.mark.parametrize("value", [None, "late", float("inf"), [[1.0], [2.0, 3.0]], [1.0, 2.0], {"a": 1}])
def test_an_entry_of_info_that_is_no_number_is_nan_as_in_training(value: Any):
    class Env:
        observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,))
        unwrapped = None

    names: dict[str, Any] = {}
    exec(compile(exported_text("def reward(after):\n    return {'t': after.speed}\n"), "exported", "exec"), names)
    simulation = names["_Simulation"](Env())
    obs = np.zeros(1, np.float32)
    assert simulation.read_signals(obs, {"speed": 2.0}).speed == [2.0]
    assert np.isnan(simulation.read_signals(obs, {"speed": value}).speed)


def test_a_program_of_a_task_of_mjlab_is_not_wrapped():
    program = parse_program("def reward(after):\n    return {'x': after.x}\n")
    with pytest.raises(TaskError, match="is no Gymnasium environment, and an exported program wraps one"):
        export_program(program, [Signal("x", (), "1", "", "qpos[0]")], EnvSpec("mjlab:Mjlab-Cartpole-Balance"))


def test_a_program_that_reads_a_learned_signal_is_refused():
    learned = LearnedSignal("reached", "subgoals", "subgoals reached")
    program = parse_program('"""Count."""\n\n\ndef reward(after):\n    return {"reached": after.reached}\n')
    with pytest.raises(ProgramError, match="reads 'reached', a learned signal"):
        export_program(program, (learned.describe_signal(),), EnvSpec("CartPole-v1"))
