"""`rewardsmith skill`: the page that teaches a coding agent to use rewardsmith.

The page ships as `skills/rewardsmith/SKILL.md`; it is written by `render_skill` from the help texts of the commands and
of the MCP tools, and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import print_line

NAME = "rewardsmith"
COMMANDS = ("design", "resume", "refine", "check", "train", "show", "compare", "video", "export", "envs", "sweep")
"""Commands that the page names: those that an agent without the tools works with."""

app = typer.Typer(
    name="skill",
    help="Install the page that teaches a coding agent to use rewardsmith, or print it.",
    short_help="Teach a coding agent to use rewardsmith.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

HEAD = """\
---
name: rewardsmith
description: >-
  Design, train and measure reward functions for simulated agents (Gymnasium, MuJoCo). Use it when someone wants a robot
  or another simulated agent to show a behaviour, asks why a policy does not learn, or has a reward function to check,
  compare or improve.
---

# rewardsmith

Someone says in a sentence what a simulated agent should do. You write reward programs; rewardsmith checks them, trains
a policy on each, measures it on held-out episodes with a fitness that no program sees, and tells you what to improve.

## You are the designer (MCP server, no key needed)

Connect once: `claude mcp add rewardsmith -- rewardsmith mcp` (it needs `pip install 'rewardsmith[mcp]'`). Then:

1. `describe_task`: signals, fitness, rules for programs. `list_tasks` names the tasks with a card.
2. `start_search(text, env)`. Ask the person how long it may take; `budget_minutes` decides the sizes.
3. `next_prompt(run)`, write the program, `submit_program(run, prompt, program, idea)`; again until it has the result.
   A generation has several prompts, each with its own emphasis: write programs that differ. Repair what is refused.
4. `show_frames(run)`: look at the behaviour. A high fitness with a wrong behaviour means that the fitness is wrong:
   say so.
5. Report what `show_run` says: the fitness with its interval, beside the environment reward and random actions, and
   its verdict as it stands.

A person's words about the behaviour go in with `give_feedback`; `continue_search(run, another_generation=true)` hears
them. If you stop or crash, `next_prompt(run)` goes on; nothing is trained twice.

"""
RULES = """\
## Programs

    WEIGHTS = {"progress": 1.0, "effort": 0.05}

    def reward(before, action, after):
        return {"progress": after.torso_velocity, "effort": -np.sum(action**2, axis=1)}

- One call scores n transitions: axis 0 of every array is the transition, each term is an (n,) float array.
- Only the signals of `describe_task` exist. `np`, `math` and `shaping` are there without an import; nothing else is.
- The program runs in a sealed process: no files, no network, no randomness, no state but `memory`.

## Without the server: commands

"""
TAIL = """
`rewardsmith COMMAND --help` has the options; `--json` prints results for programs, `--dry-run` the plan of a search.
Python: `import rewardsmith; result = rewardsmith.design("...", env="Hopper-v5")`.
"""


def render_skill() -> str:
    """Render the page."""
    from rewardsmith.api.coding_agent.catalogue import summarize_tools
    from rewardsmith.cli.main import list_short_helps

    helps = list_short_helps()
    tools = "\n".join(f"- `{name}`: {line}" for name, line in summarize_tools())
    commands = "\n".join(f"- `rewardsmith {name}`: {helps[name]}" for name in COMMANDS)
    return f"{HEAD}## Tools\n\n{tools}\n\n{RULES}{commands}\n{TAIL}"


@app.command("show")
def show_skill() -> None:
    """Print the page."""
    print_line(_read_page().rstrip())


@app.command("install")
def install_skill(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of the agent's skills. [default: ~/.claude/skills]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a page that was changed.")] = False,
) -> None:
    """Copy the page into the folder of a coding agent's skills."""
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.contract.records import write_text

    page = _read_page()
    file = (folder or Path.home() / ".claude" / "skills") / NAME / "SKILL.md"
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") == page:
        print_line(f"{file} is up to date")
        return
    if file.exists() and not force:
        raise ConfigError(f"{file} differs from the page of this version; --force overwrites it")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, page)
    print_line(f"{file}: your agent reads it in its next session; connect it: claude mcp add {NAME} -- {NAME} mcp")


def _read_page() -> str:
    from rewardsmith.contract.package_data import find_data_folder

    return (find_data_folder("skills") / NAME / "SKILL.md").read_text(encoding="utf-8")
