"""`rewardsmith mcp` with the official client library over stdio, with real trainings of a tiny budget."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from fakes.agent_case import read_field
from fakes.processes import children

mcp = pytest.importorskip("mcp")

ENV = "Pendulum-v1"
PROGRAM = """WEIGHTS = {{"upright": 1.0, "effort": {effort}}}

def reward(before, action, after):
    return {{"upright": after.cos_angle, "effort": -np.sum(action**2, axis=1)}}
"""
BROKEN = "def reward(after):\n    return {'upright': after.cosine}\n"
HOSTILE = "import socket\n\ndef reward(after):\n    return {'upright': after.cos_angle}\n"
TINY = {"population": 2, "generations": 1, "env_steps": 1_024, "settings": ["search.final_seeds=1"]}


class Agent:
    """A scripted agent: calls tools, and keeps the progress that it is told."""

    def __init__(self, client: "mcp.Client") -> None:
        self.client, self.progress = client, []
        self.on_progress: Callable[[str], object] = lambda message: None

    async def call(self, tool: str, *, fails: bool = False, **arguments) -> str:
        """Call a tool and return the text of its answer."""
        result = await self.client.call_tool(tool, arguments, progress_callback=self._keep_progress)
        text = result.content[0].text
        assert result.is_error is fails, text
        return text

    async def _keep_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))
        self.on_progress(message)


def talk(folder: Path, talk_to: Callable[[Agent], Awaitable[None]]) -> None:
    """Run a conversation with a server that works in a folder."""
    variables = {"REWARDSMITH_JOBS": "2", "XDG_CONFIG_HOME": os.environ["XDG_CONFIG_HOME"]}
    server = mcp.StdioServerParameters(
        command=sys.executable, args=["-m", "rewardsmith", "mcp"], cwd=folder, env=variables
    )

    async def run() -> None:
        async with mcp.Client(server) as client:
            await talk_to(Agent(client))

    anyio.run(run)


async def write_programs(agent: Agent, run: str, effort: float = 0.01) -> str:
    """Answer prompts until the search ends; return its end."""
    while True:
        text = await agent.call("next_prompt", run=run)
        if "\nprompt: " not in text:
            if "state: running" not in text:
                return text
            continue
        effort *= 2
        program = PROGRAM.format(effort=effort)
        await agent.call("submit_program", run=run, prompt=read_field(text, "prompt"), program=program, idea="Upright.")


def list_processes(*arguments: str) -> list[int]:
    """Return the processes below this one whose command has these arguments, one after the other."""
    wanted = "\0".join(arguments).encode()
    return [pid for pid in children(os.getpid()) if wanted in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_whole_search_by_a_scripted_agent_over_stdio(tmp_path):
    async def converse(agent: Agent) -> None:
        assert "cos_angle | scalar" in await agent.call("describe_task", env=ENV)
        started = await agent.call("start_search", text="Hold the pendulum upright", env=ENV, **TINY)
        run = read_field(started, "run")

        # A hostile program, a broken one, and one that is accepted.
        prompt = await agent.call("next_prompt", run=run)
        assert "Hold the pendulum upright" in prompt
        refused = await agent.call("submit_program", run=run, prompt=read_field(prompt, "prompt"), program=HOSTILE)
        assert "is refused; repair it" in refused
        assert "import" in refused
        refused = await agent.call("submit_program", run=run, prompt=read_field(refused, "prompt"), program=BROKEN)
        assert "cosine" in refused
        program = PROGRAM.format(effort=0.5)
        answer = await agent.call("submit_program", run=run, prompt=read_field(refused, "prompt"), program=program)
        assert "is accepted" in answer
        wrong = await agent.call("submit_program", run=run, prompt="none", program=program, fails=True)
        assert wrong.startswith("there is no prompt 'none'")

        end = await write_programs(agent, run)
        assert "state: done" in end
        assert "fitness = mean(cos_angle)" in end
        assert any(total == 100.0 and "environment steps done" in message for _, total, message in agent.progress)

        # What an agent looks at afterwards.
        assert run in await agent.call("list_runs")
        assert "Reflection:" in await agent.call("read_reflection", run=run, candidate="g0c00")
        both = [f"{run}:g0c00", f"{run}:g0c01"]
        assert "STARC distance" in await agent.call("compare_programs", programs=both)
        exported = await agent.call("export_program", run=run, out="reward.py")
        assert "RewardWrapper" in exported
        assert "RewardWrapper" in (tmp_path / "reward.py").read_text()
        assert "exists; name another file" in await agent.call("export_program", run=run, fails=True)
        outside = await agent.call("export_program", run=run, out="../reward.py", fails=True)
        assert "inside" in outside
        evaluation = await agent.call("evaluate_policy", run=run, episodes=3)
        assert "over 1 training seeds" in await agent.call("wait_for_job", job=read_field(evaluation, "job"))
        shown = await agent.client.call_tool("show_frames", {"run": run, "frames": 2})
        assert [content.type for content in shown.content] == ["text", "image", "image"], shown.content[0].text
        assert shown.content[1].mime_type == "image/png"

    talk(tmp_path, converse)
    shown = subprocess.run(
        [sys.executable, "-m", "rewardsmith", "show"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "Hold the pendulum upright" in shown.stdout


def test_an_agent_that_is_killed_in_the_middle_loses_nothing(tmp_path):
    runs: list[str] = []
    candidates: list[str] = []

    async def begin(agent: Agent) -> None:
        started = await agent.call("start_search", text="Hold the pendulum upright", env=ENV, **TINY)
        runs.append(read_field(started, "run"))
        prompt = await agent.call("next_prompt", run=runs[0])
        candidates.append(read_field(prompt, "candidate"))
        program = PROGRAM.format(effort=0.5)
        await agent.call("submit_program", run=runs[0], prompt=read_field(prompt, "prompt"), program=program)
        (server,) = list_processes("rewardsmith", "mcp")
        os.kill(server, signal.SIGKILL)

    talk(tmp_path, begin)

    # `resume` trains what was handed in, and says whom the search waits for.
    command = [sys.executable, "-m", "rewardsmith", "resume", runs[0]]
    resumed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert resumed.returncode == 2
    (line,) = resumed.stderr.splitlines()
    assert "none is connected; what it handed in is kept: let your agent call next_prompt" in line

    async def go_on(agent: Agent) -> None:
        prompt = await agent.call("next_prompt", run=runs[0])
        assert read_field(prompt, "candidate") not in candidates
        assert "state: done" in await write_programs(agent, runs[0])

    talk(tmp_path, go_on)


def test_a_cancelled_call_cancels_its_job(tmp_path):
    async def converse(agent: Agent) -> None:
        program = PROGRAM.format(effort=0.1)
        started = await agent.call("train_program", program=program, env=ENV, env_steps=50_000_000)
        job = read_field(started, "job")
        with anyio.CancelScope() as scope:
            agent.on_progress = lambda message: scope.cancel() if "program: train" in message else None
            await agent.call("wait_for_job", job=job, wait_s=600)
        assert scope.cancelled_caught
        assert "state: cancelled" in await agent.call("wait_for_job", job=job, wait_s=60)
        assert "g0c00" not in await agent.call("show_run", run=job)

    talk(tmp_path, converse)
    assert not list_processes("rewardsmith.worker")


def test_mistakes_are_one_line_for_the_agent(tmp_path):
    async def converse(agent: Agent) -> None:
        for tool, arguments, told in (
            ("describe_task", {"env": "Pendulum-v9"}, "Pendulum"),
            ("check_program", {"program": "def reward(", "env": ENV}, "refused"),
            ("train_program", {"program": "def reward(", "env": ENV}, "line 1"),
            ("start_search", {"text": "Hop", "env": ENV, "settings": ["search.popluation=2"]}, "population"),
            ("show_run", {"run": "runs/none"}, "is not a run directory"),
            ("cancel_job", {"job": "runs/none"}, "there is no job"),
            ("show_frames", {"run": "runs/none"}, "is not a run directory"),
            ("show_frames", {"run": "runs/none", "frame": 3}, "no argument 'frame'; did you mean 'frames'?"),
            ("show_frames", {"run": "runs/none", "frames": 1_000}, "show_frames: frames = 1000: must be at most 8"),
            ("describe_task", {}, "describe_task: the argument 'env' is missing"),
            ("start_search", {"text": "Hop", "env": ENV, "settings": [1]}, "settings.0 = 1: must be text in quotes"),
        ):
            text = await agent.call(tool, fails=tool != "check_program", **arguments)
            assert told in text
            assert "Traceback" not in text
            assert tool == "check_program" or "\n" not in text

        # A mistake that only the environment shows: nothing is left of the search.
        started = await agent.call("start_search", text="Hop", env=ENV, fitness="mean(hight)")
        text = await agent.call("next_prompt", fails=True, run=read_field(started, "run"))
        assert text.startswith("fitness: no signal 'hight'")

    talk(tmp_path, converse)
    assert not list(tmp_path.glob("runs/*"))


def test_stdout_carries_nothing_but_the_protocol(tmp_path):
    """Whatever is printed in the server's process or below it goes to stderr."""
    code = (
        "import os, sys\n"
        "from rewardsmith.api.coding_agent import server, tools\n"
        "def list_runs(self, call):\n"
        "    '''Print.'''\n"
        "    print('from python'); os.system('echo from a process'); sys.stdout.flush()\n"
        "    return 'done'\n"
        "tools.ProgramTools.list_runs = list_runs\n"
        "server.serve_stdio()\n"
    )

    async def converse() -> None:
        parameters = mcp.StdioServerParameters(command=sys.executable, args=["-c", code], cwd=tmp_path)
        with (tmp_path / "stderr").open("w") as errors:
            async with mcp.Client(mcp.stdio_client(parameters, errors)) as client:
                assert (await client.call_tool("list_runs", {})).content[0].text == "done"

    anyio.run(converse)
    printed = (tmp_path / "stderr").read_text()
    assert re.search("from python", printed)
    assert re.search("from a process", printed)
