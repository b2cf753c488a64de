"""The tools of `rewardsmith mcp`, in the order in which an agent reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from rewardsmith.api.coding_agent.jobs import JobRegistry
from rewardsmith.api.coding_agent.search_tools import SearchTools
from rewardsmith.api.coding_agent.tools import ProgramTools, ShownFrames

AgentTool = Callable[..., str | ShownFrames]

READ_ONLY = frozenset(
    ("list_tasks", "describe_task", "check_program", "list_runs", "show_run", "read_reflection", "compare_programs")
)
"""Tools that change nothing, which a client may call without asking its user."""


def list_tools(jobs: JobRegistry) -> list[AgentTool]:
    """Return the tools of a server with these jobs."""
    programs, searches = ProgramTools(jobs), SearchTools(jobs)
    return [
        searches.start_search,
        searches.next_prompt,
        searches.submit_program,
        searches.continue_search,
        searches.give_feedback,
        programs.list_tasks,
        programs.describe_task,
        programs.check_program,
        programs.train_program,
        programs.evaluate_policy,
        programs.wait_for_job,
        programs.cancel_job,
        programs.list_runs,
        programs.show_run,
        programs.read_reflection,
        programs.show_frames,
        programs.compare_programs,
        programs.export_program,
    ]


def summarize_tools() -> list[tuple[str, str]]:
    """Return the name of each tool with the first line of its help."""
    return [(tool.__name__, (inspect.getdoc(tool) or "").partition("\n")[0]) for tool in list_tools(JobRegistry())]
