"""Card of a pushed run: what was asked, what was measured, the program, and how to use the files.

The task's sentence, the program and the names of metrics come from outside: they are shown as text, and cannot add
markup or metadata to the card.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Interval, Result
from rewardsmith.contract.text import flatten_text, format_number, pluralize
from rewardsmith.report.result_lines import format_estimate
from rewardsmith.report.text import compare_with_baseline, replace_control_chars
from rewardsmith.search.storage import Run

PROGRAM_FILE, WRAPPER_FILE, POLICY_FOLDER, CARD_FILE = "reward.py", "reward_wrapper.py", "policy", "README.md"
FILM_STEM = "replay"
"""Name of the film, which the Hub's page of a reinforcement learning model looks for."""
MISSING_PACKAGE = "the Hugging Face Hub needs a package: pip install 'rewardsmith[hub]'"

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>&~])")


def render_card(run: Run, result: Result, files: Sequence[str]) -> str:
    """Return the card as Markdown below its metadata.

    Args:
        run: the run.
        result: its outcome.
        files: names of the other files of the repository.

    Raises:
        ConfigError: if the Hub's client is not installed.
    """
    film = next((name for name in files if Path(name).stem == FILM_STEM), None)
    parts = [
        _render_metadata(run, result),
        f"# {escape_markdown(result.task)}",
        f"A reward program for `{_inline_code(result.env_id)}`, found and measured by rewardsmith: a language model or "
        "a built-in designer wrote it, policies were trained on it, and the best program was trained again on fresh "
        "seeds.",
        _render_film(film),
        "## Measured",
        *_render_figures(run, result),
        "## The program",
        "Its terms are added with the weights in `WEIGHTS`. A language model may have written it: read it before you "
        "run it outside of a sandbox.",
        fence_code(result.best.proposal.source),
        "## Files and use",
        _render_files(files),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape_markdown(text: str) -> str:
    r"""Return a text as one line that Markdown shows as it is.

    >>> print(escape_markdown("Run <b>fast</b> [now](x)"))
    Run \<b\>fast\</b\> \[now\]\(x\)
    """
    return _MARKDOWN.sub(r"\\\1", replace_control_chars(flatten_text(text)))


def fence_code(source: str) -> str:
    """Return a program as a block of code, whatever fences it contains itself.

    >>> fence_code("x = 1").splitlines()
    ['```python', 'x = 1', '```']
    """
    longest = max((len(run) for run in re.findall(r"`{3,}", source)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{replace_control_chars(source.strip())}\n{fence}"


def _inline_code(text: str) -> str:
    return replace_control_chars(flatten_text(text)).replace("`", "'")


def _render_metadata(run: Run, result: Result) -> str:
    """Return the metadata between its lines of dashes, as the Hub's client writes it."""
    try:
        from huggingface_hub import EvalResult, ModelCardData
    except ImportError as error:
        raise ConfigError(MISSING_PACKAGE) from error

    measured: dict[str, Any] = {}
    if result.reported is not None:
        evaluation = EvalResult(
            task_type="reinforcement-learning",
            task_name="reinforcement-learning",
            dataset_type=result.env_id,
            dataset_name=result.env_id,
            metric_type="fitness",
            metric_name=f"fitness: {flatten_text(result.fitness)}",
            metric_value=format_estimate(result.reported),
        )
        measured = {"model_name": run.task.name, "eval_results": [evaluation]}
    tags = ["rewardsmith", "reinforcement-learning", "reward-design", "gymnasium", result.env_id]
    data = ModelCardData(library_name="rewardsmith", pipeline_tag="reinforcement-learning", tags=tags, **measured)
    return f"---\n{data.to_yaml()}\n---"


def _render_film(film: str | None) -> str:
    if film is None:
        return ""
    if film.endswith(".mp4"):
        return f'<video controls autoplay loop muted src="{film}"></video>'
    return f"![The policy in its episode of median fitness]({film})"


def _render_figures(run: Run, result: Result) -> list[str]:
    """Return the table of the measured figures, and how they were measured."""
    baseline = result.baselines
    rows = [("fitness", result.reported, baseline.environment_reward, baseline.random)]
    rows += [(one.name, one.reported, one.environment_reward, one.random) for one in result.metrics]
    table = ["| | this reward | environment reward | random actions |", "|---|---|---|---|"]
    for name, program, environment, random in rows:
        cells = (_format_cell(program), _format_cell(environment), format_number(random, 3))
        table.append(f"| {escape_markdown(name)} | {' | '.join(cells)} |")

    seeds = pluralize(run.config.search.final_seeds, "fresh seed")
    steps = pluralize(run.config.search.env_steps, "environment step")
    how = f"Each trained on {seeds}, {steps} each; mean [95 % interval] over the seeds, on held-out episodes."
    lines = [f"fitness = `{_inline_code(result.fitness)}`"]
    lines += [f"{escape_markdown(one.name)} = `{_inline_code(one.expression)}`" for one in result.metrics]
    verdict = compare_with_baseline(result)
    if verdict:
        lines.append(f"Verdict: {verdict}.")
    return ["\n".join(table), how, "  \n".join(lines)]


def _format_cell(value: Interval | None) -> str:
    return "–" if value is None else format_estimate(value)


def _render_files(files: Sequence[str]) -> str:
    uses = {
        PROGRAM_FILE: "the program; `rewardsmith train reward.py --env ID` trains on it in the sandbox, and "
        "`rewardsmith library add OWNER/NAME` keeps it as an example for other searches",
        WRAPPER_FILE: "the program with a Gymnasium wrapper that needs gymnasium and numpy only; it runs with your "
        "rights, without the sandbox",
        POLICY_FOLDER: "the policy that acts in the episode of median fitness: sizes as JSON, weights as safetensors",
        FILM_STEM: "the policy in its episode of median fitness",
    }
    lines = []
    for key, use in uses.items():
        name = next((name for name in files if name == key or Path(name).stem == key or name.startswith(f"{key}/")), "")
        if name:
            shown = f"{key}/" if name.startswith(f"{key}/") else name
            lines.append(f"- `{shown}`: {use}")
    return "\n".join(lines)
