"""A run directory is data: any content gives the module's error or a result, and nothing is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import played_runs
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rewardsmith.api import calls, planning, searches
from rewardsmith.cli.main import app
from rewardsmith.contract import import_path, records
from rewardsmith.contract.errors import ConfigError, RewardsmithError, RunError, TaskError
from rewardsmith.contract.records import EnvSpec, EnvWrapper
from rewardsmith.contract.robots import ROBOT_NAMESPACE
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.report import html, video
from rewardsmith.search import trusted_runs
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.studio import run_state
from rewardsmith.studio.run_index import RunRef
from rewardsmith.studio.subprocesses import Subprocesses

FILES = (
    *("config.toml", "task.json", "provenance.json", "journal.jsonl", "result.json", "clock.json"),
    *("candidates/g0c00/candidate.json", "reward.py"),
)
DEEP = b"[" * 100_000
PLANTED = ("random.py", "sitecustomize.py", "usercustomize.py", "torch.py", "numpy/__init__.py", "gymnasium.py")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played_runs.make_finished_run(tmp_path_factory.mktemp("finished") / "run").path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def make_foreign_run(path: Path, env: EnvSpec = played_runs.TASK.env, **sections: object) -> Path:
    """Make a run that was not started on this machine."""
    layer = {"search": {"designer": "symbolic", "population": 1, "generations": 1, "env_steps": 100}, **sections}
    return Run.create(path, replace(played_runs.TASK, env=env), resolve_config(layer)).path


def use_run(path: Path) -> None:
    """Do with a run all that reads it."""
    for command in (["show"], ["show", "--candidate", "g0c00"], ["export"], ["report"]):
        verb, *options = command
        if verb == "export":
            options = ["--out", str(path.with_name("exported.py"))]
        outcome = CliRunner().invoke(app, [verb, str(path), *options])
        error = outcome.exception
        assert error is None or isinstance(error, SystemExit | RewardsmithError), f"{command}: {error!r}"
        if isinstance(error, RewardsmithError):
            assert "\n" not in str(error), f"{command}: {error}"
    run_state.summarize_run(RunRef("run", path))
    try:
        searches.continue_run(Run.open(path), executor=played_runs.PlayedExecutor())
    except RewardsmithError as error:
        assert "\n" not in str(error)


# ---------------------------------------------------------------- what lies in the files


def replace_part(data: object, choose: Callable[[int], int], value: object) -> object:
    """Return JSON data in which one part, somewhere, is another value."""
    if isinstance(data, dict) and data and choose(6):
        key = sorted(data)[choose(len(data))]
        return {**data, key: replace_part(data[key], choose, value)}
    if isinstance(data, list) and data and choose(6):
        index = choose(len(data))
        return [*data[:index], replace_part(data[index], choose, value), *data[index + 1 :]]
    return value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=4)
@given(data=st.data())
def test_any_bytes_in_a_file_end_in_an_error_of_one_line_or_a_result(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    path = Path(shutil.copytree(finished, tmp_path_factory.mktemp("hostile") / "run"))
    content = (path / file).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    (path / file).write_bytes(data.draw(st.sampled_from([content[:cut], b""])) + data.draw(st.binary(max_size=64)))
    use_run(path)


@pytest.mark.parametrize("file", [file for file in FILES if file.endswith(("json", "jsonl"))])
@settings(max_examples=6)
@given(data=st.data())
def test_any_value_in_a_record_ends_in_an_error_of_one_line_or_a_result(
    finished: Path, tmp_path_factory: pytest.TempPathFactory, file: str, data: st.DataObject
) -> None:
    path = Path(shutil.copytree(finished, tmp_path_factory.mktemp("hostile") / "run"))
    lines = (path / file).read_text().splitlines() if file.endswith("jsonl") else [(path / file).read_text()]
    number = data.draw(st.integers(0, len(lines) - 1))
    changed = replace_part(
        json.loads(lines[number]), lambda count: data.draw(st.integers(0, count - 1)), data.draw(JSON_VALUES)
    )
    lines[number] = json.dumps(changed)
    (path / file).write_text("\n".join(lines) + "\n")
    use_run(path)


@pytest.mark.parametrize("file", FILES[:5])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "."),
        (DEEP, "deep|TOML|no whole line"),
        (b'{"a": 1, "a": 2}\n', "."),
        (b'{"a": NaN}\n', "."),
        (b"\xff\xfe\n", "UTF-8"),
        (b"null\n", "."),
    ],
    ids=["empty", "nested-deep", "key-twice", "not-a-number", "not-utf8", "null"],
)
def test_a_damaged_file_is_named_with_the_next_step(run: Path, file: str, content: bytes, reason: str) -> None:
    (run / file).write_bytes(content)
    if file == "journal.jsonl" and b"\n" not in content:
        (run / file).write_bytes(content + b"\n")
    with pytest.raises(RunError, match=rf"{file}.*is damaged.*restore") as refused:
        opened = Run.open(run)
        opened.read_result()
        opened.read_events()
    assert "\n" not in str(refused.value)


def test_a_damaged_run_does_not_hide_the_others(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = run.parent / "runs"
    shutil.copytree(run, runs / "a")
    shutil.copytree(run, runs / "b")
    (runs / "a" / "result.json").write_bytes(b"")
    monkeypatch.chdir(run.parent)
    listed = CliRunner().invoke(app, ["show"])
    assert listed.exit_code == 0
    assert "runs/b" in listed.stdout and "runs/a" not in listed.stdout
    assert "result.json is damaged: it is empty" in listed.stderr


def test_another_record_under_a_key_of_the_journal_is_named_with_its_line(run: Path) -> None:
    lines = (run / "journal.jsonl").read_text().splitlines()
    number = next(index for index, line in enumerate(lines) if '"g0c00/trainer/' in line)
    event = json.loads(lines[number])
    lines[number] = json.dumps(event | {"data": {"x": 1}})
    (run / "journal.jsonl").write_text("\n".join(lines) + "\n")
    (run / "result.json").unlink()
    with pytest.raises(RunError, match=rf"journal.jsonl, line {number + 1} is damaged: 'g0c00/trainer/.*restore"):
        searches.continue_run(Run.open(run), executor=played_runs.PlayedExecutor())


@pytest.mark.parametrize("keep", [0, 1, 400, -1, -30], ids=["nothing", "a-byte", "a-part", "all-but-one", "most"])
def test_a_configuration_that_was_cut_off_is_never_replaced_by_defaults(run: Path, keep: int) -> None:
    (run / "config.toml").write_bytes((run / "config.toml").read_bytes()[:keep])
    with pytest.raises(RunError, match=r"config\.toml is damaged"):
        Run.open(run)


def test_a_setting_that_was_deleted_from_a_configuration_is_named(run: Path) -> None:
    lines = (run / "config.toml").read_text().splitlines(keepends=True)
    (run / "config.toml").write_text("".join(line for line in lines if not line.startswith("env_steps")))
    with pytest.raises(RunError, match=r"it lacks search\.env_steps"):
        Run.open(run)


# ---------------------------------------------------------------- what is no file


@pytest.mark.parametrize(
    "where", ["config.toml", "task.json", "journal.jsonl", "result.json", "llm.jsonl", "probe/transitions.npz", "extra"]
)
def test_a_pipe_in_a_run_does_not_hang_a_command(run: Path, where: str) -> None:
    (run / where).unlink(missing_ok=True)
    os.mkfifo(run / where)
    with pytest.raises(RunError, match=r"is a pipe, which a run does not have|is not a run directory"):
        Run.open(run)


def test_a_large_hole_in_a_file_is_not_read_into_memory(run: Path) -> None:
    os.truncate(run / "result.json", 1 << 40)
    with pytest.raises(RunError, match=r"result\.json is damaged: it has more than 16,777,216 bytes"):
        Run.open(run).read_result()
    os.truncate(run / "journal.jsonl", 1 << 40)
    with pytest.raises(RunError, match=r"journal\.jsonl, line \d+ is damaged: it has more than"):
        Run.open(run).read_events()


def test_folders_in_folders_without_end_are_refused(run: Path) -> None:
    deep = run.joinpath(*["d"] * 200)
    deep.mkdir(parents=True)
    with pytest.raises(RunError, match=r"folders deep"):
        Run.open(run)


# ---------------------------------------------------------------- nothing is imported


def plant_modules(folder: Path, pwned: Path) -> None:
    """Put modules into a folder that say so when they are imported."""
    for name in PLANTED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"open({str(pwned)!r}, 'a').write(__file__)\nraise ImportError('planted')\n")


@pytest.fixture
def planted(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a run directory that holds modules; return the file that they write."""
    plant_modules(run, tmp_path / "pwned")
    monkeypatch.chdir(run)
    return tmp_path / "pwned"


@pytest.mark.parametrize("verb", ["show", "report", "resume", "export"])
def test_a_command_in_a_run_directory_imports_nothing_from_it(run: Path, planted: Path, verb: str) -> None:
    options = ["--out", str(run.with_name("exported.py"))] if verb == "export" else []
    command = [sys.executable, "-m", "rewardsmith", verb, ".", *options]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if verb != "show":  # as the installed command is started
        command[1:3] = ["-P", "-m", "rewardsmith"]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in process.stderr and process.returncode in (0, 2)
    assert not planted.exists()


@pytest.mark.parametrize("python_path", [None, "", ":", "."], ids=["unset", "empty", "empty-entries", "dot"])
def test_a_worker_imports_nothing_from_the_current_folder(
    run: Path, planted: Path, monkeypatch: pytest.MonkeyPatch, python_path: str | None
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if python_path is not None:
        monkeypatch.setenv("PYTHONPATH", python_path)
    executor = LocalExecutor(1)
    try:
        probe = executor.run(records.ProbeJob(EnvSpec("CartPole-v1"), 0, 8), run / "probe-again")
    finally:
        executor.close()
    assert probe.status == "ok"
    assert not planted.exists()


def test_a_command_of_the_studio_imports_nothing_from_the_current_folder(run: Path, planted: Path) -> None:
    subprocesses = Subprocesses()
    subprocesses.start("show", ["show", str(run)])
    process, log = subprocesses._processes["show"]
    assert process.wait(120) == 0, log.read_text()
    subprocesses.close()
    assert not planted.exists()


def test_an_environment_module_is_found_where_the_user_started_behind_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_modules(tmp_path, tmp_path / "pwned")
    (tmp_path / "sitecustomize.py").unlink()
    (tmp_path / "usercustomize.py").unlink()
    (tmp_path / "my_envs.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Mine-v0', 'gymnasium.envs.classic_control.cartpole:CartPoleEnv', max_episode_steps=9)\n"
    )
    monkeypatch.chdir(tmp_path)
    folder = import_path.find_module_folder(("my_envs",), Path.cwd())
    job = records.ProbeJob(EnvSpec("my_envs:Mine-v0"), 0, 8)
    for module_folder, is_found in ((folder, True), (None, False)):
        executor = LocalExecutor(1, module_folder=module_folder)
        try:
            if is_found:
                assert executor.run(job, tmp_path / "out" / "yes").status == "ok"
            else:
                with pytest.raises(TaskError, match=r"my_envs"):
                    executor.run(job, tmp_path / "out" / "no")
        finally:
            executor.close()
    assert not (tmp_path / "pwned").exists()


def test_no_module_is_looked_for_in_a_run_directory(run: Path, tmp_path: Path) -> None:
    assert import_path.find_module_folder(("my_envs",), run) is None
    assert import_path.find_module_folder(("my_envs",), run / "candidates") is None
    assert import_path.find_module_folder(("my_envs",), tmp_path) == tmp_path
    assert import_path.find_module_folder((), tmp_path) is None
    assert import_path.clean_python_path(f"{run}:/opt/a::{run}/candidates") == "/opt/a"


# ---------------------------------------------------------------- what a foreign run asks for


@pytest.fixture(autouse=True)
def nothing_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("env", "sections", "demand"),
    [
        (EnvSpec("evil:Env-v0"), {}, "imports the Python module 'evil'"),
        (EnvSpec("Ant-v5", imports=("evil:go",)), {}, "imports the Python module 'evil' .*, calls evil:go"),
        (EnvSpec("Ant-v5", wrappers=(EnvWrapper("evil:W", {"a": 1}),)), {}, r"wraps it in evil:W\({\"a\": 1}\)"),
        (EnvSpec("Ant-v5", kwargs={"xml_file": "/tmp/x.xml"}), {}, "makes its environment 'Ant-v5' with"),
        (EnvSpec("Ant-v5"), {"executor": {"kind": "ray", "address": "10.0.0.1:1"}}, "the Ray cluster '10.0.0.1:1'"),
        (EnvSpec("Ant-v5"), {"executor": {"kind": "slurm", "slurm": {"slurm_account": "me"}}}, "slurm_account"),
        (EnvSpec("Ant-v5"), {"trackers": ["wandb"]}, "Weights & Biases"),
    ],
    ids=["module", "import", "wrapper", "arguments", "ray", "slurm", "tracker"],
)
def test_what_a_foreign_run_asks_for_is_confirmed_first(
    tmp_path: Path, env: EnvSpec, sections: dict[str, object], demand: str
) -> None:
    path = make_foreign_run(tmp_path / "run", env, **sections)
    for start in (lambda: calls.resume(path), lambda: searches.run_next_generation(Run.open(path))):
        with pytest.raises(RunError, match=rf"was not started on this machine, and it .*{demand}.*--trust` goes on"):
            start()
    trusted_runs.remember_run(Run.open(path))
    assert trusted_runs.list_unconfirmed(Run.open(path)) == ()
    other = make_foreign_run(tmp_path / "other", EnvSpec("evil2:Env-v0"))
    assert trusted_runs.list_unconfirmed(Run.open(other)) != ()


def test_a_wrapper_around_a_robot_is_named_too() -> None:
    robot = EnvSpec(f"{ROBOT_NAMESPACE}Robot-v0")
    plain, wrapped = (
        trusted_runs._describe_environment(env) for env in (robot, replace(robot, wrappers=(EnvWrapper("evil:W"),)))
    )
    assert "evil" in str(wrapped)
    assert "evil" not in str(plain)


def test_a_foreign_run_of_a_registered_environment_on_this_machine_asks_for_nothing(tmp_path: Path) -> None:
    path = make_foreign_run(tmp_path / "run", EnvSpec("Hopper-v5"))
    assert trusted_runs.list_demands(Run.open(path)) == ()


def test_a_run_that_was_started_here_goes_on_and_finds_its_module_where_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    task = replace(played_runs.TASK, env=EnvSpec("my_envs:Mine-v0"))
    config = resolve_config({"search": {"designer": "symbolic"}})
    run = searches.create_run(planning.SearchPlan(task, config, 1, 1, 0), tmp_path / "project" / "runs" / "a")
    monkeypatch.chdir("/")
    assert trusted_runs.list_unconfirmed(Run.open(run.path)) == ()
    assert trusted_runs.find_module_folder(Run.open(run.path)) == tmp_path / "project"
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    assert trusted_runs.find_module_folder(Run.open(moved)) == tmp_path / "project"


def test_confirming_a_run_opens_no_folder_for_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_foreign_run(tmp_path / "run", EnvSpec("evil:Env-v0"))
    monkeypatch.chdir(tmp_path)
    trusted_runs.remember_run(Run.open(path))
    assert trusted_runs.find_module_folder(Run.open(path)) is None


@pytest.mark.parametrize("value", ["x\ntouch pwned\n#", "x\r", "a\x00b", "a\u2028b", "\x1b[31m"])
def test_a_parameter_of_slurm_has_no_control_character(value: str) -> None:
    with pytest.raises(ConfigError, match=r"slurm_account.*must have no line break or control character"):
        resolve_config({"executor": {"kind": "slurm", "slurm": {"slurm_account": value}}})
    with pytest.raises(ConfigError, match=r"executor.folder"):
        resolve_config({"executor": {"kind": "slurm", "folder": value}})


@pytest.mark.parametrize("name", ["slurm_setup", "slurm_srun_args", "slurm_additional_parameters", "setup", "a\nb"])
def test_a_parameter_of_slurm_that_is_a_command_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no parameter of Slurm that can be set"):
        resolve_config({"executor": {"kind": "slurm", "slurm": {name: "touch pwned"}}})


# ---------------------------------------------------------------- files that are gone


def forget_events(run: Path, *ends: str) -> None:
    """Cut events off a journal, as if the search had been killed before them."""
    lines = (run / "journal.jsonl").read_text().splitlines()
    kept = [line for line in lines if not any(end in json.loads(line)["key"] for end in ends)]
    (run / "journal.jsonl").write_text("\n".join(kept) + "\n")
    (run / "result.json").unlink()


class Notices(searches.NullCallback):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_notice(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize("what", ["policy.safetensors", "policy.json", "folder", "torn"])
def test_a_policy_that_is_gone_is_trained_again_to_the_same_result(run: Path, what: str) -> None:
    before = records.dump(Run.open(run).read_result())
    forget_events(run, "g0c00/evaluator", "g0c00/analyzer")
    folder = run / "candidates" / "g0c00"
    training = next(folder.glob("train-s*"))
    if what == "folder":
        shutil.rmtree(folder)
    elif what == "torn":
        (training / "policy.safetensors").write_bytes(b"\x10")
    else:
        (training / what).unlink()

    notices, executor = Notices(), played_runs.PlayedExecutor()
    result = searches.continue_run(Run.open(run), notices, executor)
    assert executor.trained == 1
    assert [text for text in notices.texts if "its policy is" in text and "with the same result" in text]
    assert result.best.id == before["best"]["id"]  # type: ignore[index]
    assert [candidate.fitness for candidate in result.candidates] == [
        candidate["fitness"] for candidate in before["candidates"]
    ]


def test_a_repeated_training_with_another_result_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_events(run, "g0c00/evaluator", "g0c00/analyzer")
    next((run / "candidates" / "g0c00").glob("train-s*/policy.json")).unlink()
    train = played_runs.PlayedExecutor.train
    monkeypatch.setattr(
        played_runs.PlayedExecutor, "train", lambda self, job, out: replace(train(self, job, out), cause="other")
    )
    notices = Notices()
    searches.continue_run(Run.open(run), notices, played_runs.PlayedExecutor())
    assert [text for text in notices.texts if "gave another result" in text and "the recorded result stays" in text]


@pytest.mark.parametrize("file", ["episodes.npz", "transitions.npz"])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_recordings_that_are_gone_are_made_again(run: Path, file: str, damage: str) -> None:
    forget_events(run, "g0c00/analyzer")
    (recording,) = [*run.glob(f"candidates/g0c00/eval-s*/{file}"), *run.glob(f"probe/{file}")]
    recording.unlink() if damage == "missing" else recording.write_bytes(b"PK\x03\x04")
    notices = Notices()
    searches.continue_run(Run.open(run), notices, played_runs.PlayedExecutor())
    assert [text for text in notices.texts if f"its {file} is {damage}" in text and "same result" in text]


# ---------------------------------------------------------------- where it lies, and what is in it


def test_a_run_that_was_moved_says_where_it_lies_now(run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(run, tmp_path / "moved"))
    assert Run.open(moved).read_result().run == str(moved)  # type: ignore[union-attr]
    assert html.write_report(Run.open(moved)).is_relative_to(moved)
    assert "/run/" not in CliRunner().invoke(app, ["show", str(moved)]).output
    assert video.list_filmable_candidates(Run.open(moved)) == ("g0c00", "g0c01")


def test_no_file_of_a_run_holds_a_password_of_an_address(tmp_path: Path) -> None:
    path = make_foreign_run(tmp_path / "run", llm={"base_url": "http://bob:hunter2@127.0.0.1:9/v1"})
    assert not [file for file in path.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]
    assert (path / "config.toml").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
@pytest.mark.parametrize("verb", [["envs"], ["envs", "pendulum"], ["presets"], ["show", "RUN"]], ids=" ".join)
def test_a_stream_that_lacks_characters_gets_others(run: Path, verb: list[str], encoding: str) -> None:
    arguments = [str(run) if word == "RUN" else word for word in verb]
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    process = subprocess.run(
        [sys.executable, "-m", "rewardsmith", *arguments], capture_output=True, env=environment, check=False
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout and b"Traceback" not in process.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("verb", ["show RUN", "show RUN --json", "show nothing", "--version"])
def test_a_closed_stream_ends_no_command_in_a_traceback(run: Path, tmp_path: Path, verb: str, closed: str) -> None:
    command = f"'{sys.executable}' -m rewardsmith {verb.replace('RUN', str(run))} {closed}"
    process = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert process.returncode == (2 if "nothing" in verb else 0)
    assert "Traceback" not in process.stdout + process.stderr
