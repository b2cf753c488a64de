"""The trusted side: results of a call, and errors of a call."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fakes.processes import children
from fakes.sandbox_backends import LAYOUT, N, transitions

from rewardsmith.contract.errors import RewardFailed, WorkerFailed
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import Transitions, parse_program
from rewardsmith.sandbox import ProgramLayout, RewardProcess, Zygote, open_process
from rewardsmith.sandbox.local import shared_zygote

LOCAL = Limits("local")
PROGRAM = """
WEIGHTS = {"progress": 2.0, "effort": 0.1}

def reward(before, action, after):
    return {"progress": after.x - before.x, "effort": -np.sum(action**2, axis=1), "alive": 1.0}
"""


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as started:
        yield started


def opened(text: str, zygote: Zygote, limits: Limits = LOCAL) -> RewardProcess:
    return open_process(parse_program(textwrap.dedent(text)), LAYOUT, limits, zygote)


def wait_until_gone(pids: list[int], timeout_s: float = 10.0) -> list[int]:
    """Return the processes that still run after a while."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and (left := [pid for pid in pids if running(pid)]):
        time.sleep(0.02)
    return [pid for pid in pids if running(pid)] if left else []


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# ---------------------------------------------------------------- figures


ENDS = """
MEMORY = {"falls": 0.0}

def reward(after, terminated, memory):
    memory.falls = memory.falls + terminated
    is_bool = terminated.dtype == bool and not terminated.flags.writeable
    fall = np.where(terminated, -10.0, after.x)
    return {"fall": fall, "falls": memory.falls, "bool": 1.0 * is_bool, "kept": ~terminated}
"""


def test_ends_of_episodes_come_as_bool_and_a_walk_pays_what_single_steps_do(zygote: Zygote) -> None:
    steps, rows = 5, 2
    given = transitions(steps * rows)
    terminated = np.array([[0, 0], [1, 0], [0, 0], [0, 1], [1, 0]], np.bool_)
    ended = terminated | np.array([[0, 1], [0, 0], [0, 0], [0, 0], [0, 0]], np.bool_)  # and one at the time limit
    given = Transitions(given.action, given.before, given.after, given.start, terminated.ravel())
    with opened(ENDS, zygote) as process:
        walked = process.walk(given, ended, {"falls": np.zeros(rows)})
        memory = {"falls": np.zeros(rows)}
        for step in range(steps):
            single = process.score(given.select_rows(np.arange(step * rows, (step + 1) * rows)), memory)
            memory = {"falls": np.where(ended[step], 0.0, single.memory["falls"])}
            for name, values in single.terms.items():
                np.testing.assert_array_equal(walked.terms[name].reshape(steps, rows)[step], values)
    np.testing.assert_array_equal(walked.terms["fall"], np.where(terminated.ravel(), -10.0, given.after["x"]))
    np.testing.assert_array_equal(walked.terms["falls"], terminated.ravel())
    assert walked.terms["bool"].min() == 1.0
    assert walked.memory["falls"].tolist() == [0.0, 0.0]


def test_ends_that_are_missing_or_of_another_shape_are_refused(zygote: Zygote) -> None:
    given = transitions()
    with opened("def reward(terminated):\n    return {'a': 1.0 * terminated}\n", zygote) as process:
        with pytest.raises(ValueError, match=r"terminated\.terminated must have shape \(8,\), has nothing"):
            process.score(given)


@pytest.mark.parametrize("n", [1, 8, 300, 2048, 5000])
def test_scores_are_those_of_the_same_code_in_this_process(zygote: Zygote, n: int) -> None:
    given = transitions(n, seed=n)
    with opened(PROGRAM, zygote) as process:
        scores = process.score(given)
    progress = given.after["x"] - given.before["x"]
    effort = -np.sum(given.action**2, axis=1)
    assert list(scores.terms) == ["progress", "effort", "alive"]
    np.testing.assert_array_equal(scores.terms["progress"], progress)
    np.testing.assert_array_equal(scores.terms["effort"], effort)
    np.testing.assert_array_equal(scores.terms["alive"], np.ones(n))
    np.testing.assert_array_equal(scores.total, 2.0 * progress + 0.1 * effort + 1.0 * np.ones(n))


def test_calls_of_different_sizes_do_not_disturb_each_other(zygote: Zygote) -> None:
    with opened(PROGRAM, zygote) as process:
        for n in (8, 2048, 3, 8, 4096, 3, 2048):
            given = transitions(n, seed=n)
            expected = given.after["x"] - given.before["x"]
            np.testing.assert_array_equal(process.score(given).terms["progress"], expected)


def test_scores_are_the_callers_own(zygote: Zygote) -> None:
    with opened(PROGRAM, zygote) as process:
        first = process.score(transitions(seed=1))
        kept = first.total.copy()
        process.score(transitions(seed=2))
        np.testing.assert_array_equal(first.total, kept)
        first.total[:] = 0.0


def test_the_weights_are_the_texts_and_not_what_the_program_makes_of_them(zygote: Zygote) -> None:
    text = """
    WEIGHTS = {"a": 1.0}

    def reward(after):
        WEIGHTS["a"] = 1000.0
        return {"a": after.x}
    """
    given = transitions()
    with opened(text, zygote) as process:
        np.testing.assert_array_equal(process.score(given).total, given.after["x"])
        np.testing.assert_array_equal(process.score(given).total, given.after["x"])


def test_an_array_that_is_not_contiguous_is_laid_out_right(zygote: Zygote) -> None:
    given = transitions()
    turned = Transitions(np.asfortranarray(given.action), {"x": np.repeat(given.before["x"], 2)[::2]}, given.after)
    with opened(PROGRAM, zygote) as process:
        np.testing.assert_array_equal(process.score(turned).total, process.score(given).total)


def test_a_set_has_the_same_order_in_every_process() -> None:
    text = "def reward(action):\n    return {name: 0.0 for name in {'height', 'speed', 'effort', 'alive', 'upright'}}\n"
    orders = set()
    for _ in range(3):
        with Zygote() as own, opened(text, own) as process:
            orders.add(tuple(process.score(transitions()).terms))
    assert len(orders) == 1


# ---------------------------------------------------------------- memory

REMEMBERING = """
MEMORY = {"best": -1.0, "steps": 0.0}

def reward(after, memory):
    gain = np.maximum(after.x - memory.best, 0.0)
    memory.best = np.maximum(memory.best, after.x)
    memory.steps += 1
    return {"gain": gain}
"""


def test_memory_starts_with_the_declared_values_and_is_the_callers_to_keep(zygote: Zygote) -> None:
    first, second = transitions(seed=1), transitions(seed=2)
    with opened(REMEMBERING, zygote) as process:
        one = process.score(first)
        two = process.score(second, one.memory)
        again = process.score(first)
    best = np.maximum(-1.0, first.after["x"])
    np.testing.assert_array_equal(one.memory["best"], best)
    np.testing.assert_array_equal(two.memory["best"], np.maximum(best, second.after["x"]))
    np.testing.assert_array_equal(two.memory["steps"], np.full(N, 2.0))
    np.testing.assert_array_equal(two.terms["gain"], np.maximum(second.after["x"] - best, 0.0))
    np.testing.assert_array_equal(again.memory["steps"], np.ones(N))


def test_a_walk_gives_what_step_by_step_calls_give(zygote: Zygote) -> None:
    steps, rows, rng = 6, 3, np.random.default_rng(0)
    whole, ended = transitions(steps * rows, seed=3), rng.random((steps, rows)) < 0.3
    values = memory = {"best": rng.standard_normal(rows), "steps": np.zeros(rows)}
    gains = []
    with opened(REMEMBERING, zygote) as process:
        for step in range(steps):
            part = slice(step * rows, (step + 1) * rows)
            after = {name: array[part] for name, array in whole.after.items()}
            scores = process.score(Transitions(whole.action[part], after=after), memory)
            gains.append(scores.terms["gain"])
            start = process.program.memory
            memory = {name: np.where(ended[step], start[name], value) for name, value in scores.memory.items()}
        walk = process.walk(whole, ended, values)
    assert ended.any() and not ended.all()
    np.testing.assert_array_equal(walk.terms["gain"], np.concatenate(gains))
    np.testing.assert_array_equal(walk.total, np.concatenate(gains))
    for name, value in memory.items():
        np.testing.assert_array_equal(walk.memory[name], value)


def test_a_walk_that_loses_a_term_on_the_way_is_refused(zygote: Zygote) -> None:
    text = """
        MEMORY = {"steps": 0.0}

        def reward(after, memory):
            memory.steps += 1
            return {"x": after.x} if memory.steps[0] < 3 else {"x": after.x, "late": 1.0}
    """
    with opened(text, zygote) as process, pytest.raises(RewardFailed, match="the terms differ from step to step"):
        process.walk(transitions(), np.zeros((N // 2, 2), np.bool_), {"steps": np.zeros(2)})


def test_memory_that_was_not_declared_cannot_be_assigned(zygote: Zygote) -> None:
    with opened(REMEMBERING.replace("memory.steps +=", "memory.stage ="), zygote) as process:
        with pytest.raises(RewardFailed, match="memory has no 'stage'; declared in MEMORY: best, steps"):
            process.score(transitions())


def test_memory_that_becomes_infinite_is_refused(zygote: Zygote) -> None:
    with opened(REMEMBERING.replace("memory.steps += 1", "memory.steps = np.inf"), zygote) as process:
        with pytest.raises(RewardFailed, match=r"memory\.steps is not finite") as failure:
            process.score(transitions())
    assert failure.value.code == "not-finite"


# ---------------------------------------------------------------- failures


def test_a_failure_names_its_cause_and_line(zygote: Zygote) -> None:
    text = "def helper(x):\n    return x + foo\n\ndef reward(after):\n    return {'a': helper(after.x)}\n"
    with opened(text, zygote) as process, pytest.raises(RewardFailed) as failure:
        process.score(transitions())
    assert str(failure.value) == "NameError: name 'foo' is not defined"
    assert (failure.value.code, failure.value.line) == ("error", 2)


def test_a_refused_system_call_names_its_line(zygote: Zygote) -> None:
    text = "def reward(after):\n    f = np.linalg.norm.__wrapped__.__globals__\n    f['sys'].modules['posix'].fork()\n"
    with opened(text + "    return {}\n", zygote) as process, pytest.raises(RewardFailed) as failure:
        process.score(transitions())
    assert failure.value.line in (2, 3)


def test_a_failed_process_raises_its_failure_again_and_does_not_hang(zygote: Zygote) -> None:
    with opened("def reward(after):\n    return {'a': 1 / 0}\n", zygote) as process:
        for _ in range(3):
            with pytest.raises(RewardFailed, match="division by zero") as failure:
                process.score(transitions())
            assert failure.value.line == 2


def test_a_timeout_ends_the_process_soon_after_the_limit(zygote: Zygote) -> None:
    text = "def reward(after):\n    while True:\n        pass\n    return {}\n"
    with opened(text, zygote, Limits(call_timeout_s=0.3)) as process:
        start = time.monotonic()
        with pytest.raises(RewardFailed) as failure:
            process.score(transitions())
        assert failure.value.code == "timeout"
        assert 0.3 <= time.monotonic() - start < 2.0


def test_a_closed_process_says_so(zygote: Zygote) -> None:
    process = opened(PROGRAM, zygote)
    process.close()
    process.close()
    with pytest.raises(WorkerFailed, match="closed"):
        process.score(transitions())


def test_transitions_that_do_not_fit_the_layout_are_the_callers_fault(zygote: Zygote) -> None:
    given = transitions()
    with opened(PROGRAM, zygote) as process:
        with pytest.raises(ValueError, match=r"before.x must have shape \(8,\), has nothing"):
            process.score(Transitions(given.action, {}, given.after))
        with pytest.raises(ValueError, match=r"after.x must have shape \(8,\), has shape \(1,\)"):
            process.score(Transitions(given.action, given.before, {"x": np.ones(1)}))
        assert process.score(given).total.shape == (N,)


def test_an_interrupted_call_does_not_answer_the_next_one(zygote: Zygote) -> None:
    text = "def reward(after):\n    if after.x[0] > 0:\n        sum(range(3 * 10**7))\n    return {'a': after.x}\n"
    slow, quick = (Transitions(np.zeros((N, 2)), {}, {"x": np.full(N, sign)}) for sign in (1.0, -1.0))
    with opened(text, zygote) as process:
        process.score(quick)
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            process.score(slow)
        np.testing.assert_array_equal(process.score(quick).total, np.full(N, -1.0))


# ---------------------------------------------------------------- processes


def test_a_fork_of_this_process_gets_a_zygote_of_its_own() -> None:
    program = parse_program(PROGRAM)
    open_process(program, LAYOUT, LOCAL).close()
    pid = os.fork()
    if pid == 0:
        try:
            with open_process(program, LAYOUT, LOCAL) as process:
                os._exit(0 if process.score(transitions()).total.shape == (N,) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with open_process(program, LAYOUT, LOCAL) as process:
        process.score(transitions())


def test_processes_of_one_zygote_are_independent(zygote: Zygote) -> None:
    text = "state = []\ndef reward(after):\n    state.append(1)\n    return {'a': float(len(state))}\n"
    with opened(text, zygote) as one, opened(text, zygote) as two:
        assert one.score(transitions()).total[0] == 1.0
        assert one.score(transitions()).total[0] == 2.0
        assert two.score(transitions()).total[0] == 1.0


def test_threads_may_share_a_zygote(zygote: Zygote) -> None:
    totals = []

    def work(seed: int) -> None:
        with opened(PROGRAM, zygote) as process:
            totals.append(process.score(transitions(seed=seed)).total.shape)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [(N,)] * 8


def test_a_zygote_that_was_killed_is_the_machines_fault_and_is_replaced() -> None:
    program = parse_program(PROGRAM)
    shared_zygote().close()
    before = set(children(os.getpid()))
    with open_process(program, LAYOUT, LOCAL) as process:
        process.score(transitions())
        for pid in set(children(os.getpid())) - before:
            with suppress(ProcessLookupError):  # the reward process ends with its zygote
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerFailed):
            process.score(transitions())
    with open_process(program, LAYOUT, LOCAL) as process:
        assert process.score(transitions()).total.shape == (N,)


def test_a_closed_process_is_gone(zygote: Zygote) -> None:
    opened(PROGRAM, zygote).close()  # the zygote has started
    above = zygote._process.pid  # below this process there may be some that earlier tests left to their executors
    before = set(children(above))
    process = opened(PROGRAM, zygote)
    started = set(children(above)) - before
    assert len(started) == 1
    process.close()
    assert not wait_until_gone(sorted(started))


def test_nothing_outlives_a_parent_that_is_killed() -> None:
    script = """
        import numpy as np
        from rewardsmith.contract.reward_program import Transitions, parse_program
        from rewardsmith.contract.records import Limits
        from rewardsmith.sandbox import ProgramLayout, open_process

        busy = parse_program("def reward(action):\\n    while True:\\n        pass\\n    return {}")
        idle = parse_program("def reward(action):\\n    return {'a': 1.0}")
        waiting = open_process(idle, ProgramLayout({}, (1,)), Limits("local"))
        waiting.score(Transitions(np.ones((1, 1))))
        process = open_process(busy, ProgramLayout({}, (1,)), Limits("local", call_timeout_s=600))
        print("started", flush=True)
        process.score(Transitions(np.ones((1, 1))))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"started\n"
        time.sleep(0.3)
        below = children(parent.pid)
        assert len(below) >= 4  # launcher, zygote, two reward processes
        parent.kill()
    assert not wait_until_gone(below)


@pytest.mark.skipif(os.geteuid() != 0, reason="not tested: only root can look into a sealed process")
def test_no_variable_and_no_descriptor_of_this_process_reaches_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    before = set(children(os.getpid()))
    with Path(__file__).open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        with Zygote() as own, open_process(parse_program(PROGRAM), LAYOUT, LOCAL, own) as process:
            process.score(transitions())
            started = set(children(os.getpid())) - before
            environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in started]
            opened_files = [list(Path(f"/proc/{pid}/fd").iterdir()) for pid in started]
    assert len(started) == 3
    assert not any(b"sk-planted" in environment or b"HOME=" in environment for environment in environments)
    assert min(map(len, opened_files)) == 2, "a reward process has one pipe to read and one to write"


def test_a_closed_zygote_is_the_machines_fault() -> None:
    with Zygote() as own:
        process = opened(PROGRAM, own)
    with pytest.raises(WorkerFailed):
        process.score(transitions())
    process.close()
    with pytest.raises(WorkerFailed):
        opened(PROGRAM, own)


def test_an_interrupted_request_does_not_confuse_the_next(zygote: Zygote, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __getattr__(self, name: str) -> object:
            return getattr(control, name)

        def recv(self, size: int) -> bytes:
            raise KeyboardInterrupt

    control = zygote._control
    with opened(PROGRAM, zygote) as process, monkeypatch.context() as patch:
        patch.setattr(zygote, "_control", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            opened(PROGRAM, zygote)
        patch.undo()
        with opened("def reward(after):\n    return {'a': 1 / 0}\n", zygote) as other:
            with pytest.raises(RewardFailed, match="division"):
                other.score(transitions())
        assert process.score(transitions()).total.shape == (N,)


def test_processes_leave_no_descriptor_open(zygote: Zygote) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    opened(PROGRAM, zygote).close()
    gc.collect()  # what earlier tests left must not close its descriptors in between
    before = count()
    for _ in range(20):
        with opened(PROGRAM, zygote) as process:
            process.score(transitions(300))
        with opened("def reward(after):\n    return {'a': 1 / 0}\n", zygote) as process, pytest.raises(RewardFailed):
            process.score(transitions())
    del process
    assert count() == before


def test_layers_are_named(zygote: Zygote) -> None:
    with open_process(parse_program(PROGRAM), ProgramLayout(LAYOUT.signals, (2,)), LOCAL, zygote) as process:
        assert {"seccomp", "no-new-privs", "limits"} <= set(process.layers)


@pytest.mark.parametrize(
    "raised",
    [
        "ValueError('x\\n\\nrewardsmith: fitness 999999 (best)')",
        "ValueError('x\\r\\x0b\\x85\\u2028\\u202e\\x1b[2Jrewardsmith: ok')",
        "type('E\\nrewardsmith: ok', (Exception,), {})('x')",
        "KeyError('\\n' * 3000)",
        "SyntaxError('bad\\nrewardsmith: ok')",
    ],
    ids=["line-break", "controls", "type", "many", "syntax"],
)
def test_a_failure_is_one_line_whatever_the_program_raises(zygote: Zygote, raised: str) -> None:
    text = f"def reward(after):\n    raise {raised}\n    return {{'a': after.x}}\n"
    with opened(text, zygote) as process, pytest.raises(RewardFailed) as failure:
        process.score(transitions())
    assert str(failure.value).isprintable()
    assert len(str(failure.value)) <= 600
