"""Result of a search in Python: the record, with what a user does with it: show, export, wrap, act."""

from __future__ import annotations

import html
import sys
import types
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Candidate, Result
from rewardsmith.contract.text import format_number
from rewardsmith.search.storage import Run, RunLayout

if TYPE_CHECKING:
    from rewardsmith.api.policy_function import PolicyFunction


@dataclass(frozen=True, repr=False)
class SearchResult(Result):
    """The outcome of a search; `rewardsmith.Result`."""

    @classmethod
    def from_record(cls, result: Result) -> SearchResult:
        """Return a result with the methods of this class."""
        return cls(**{field.name: getattr(result, field.name) for field in fields(Result)})

    def __repr__(self) -> str:
        """Return one line: the run, the task, and the fitness."""
        from rewardsmith.report.result_lines import describe_fitness

        return f"<Result of {self.run}: {self.task!r} on {self.env_id}, fitness {describe_fitness(self.best, self)}>"

    @property
    def path(self) -> Path:
        """The run directory."""
        return Path(self.run)

    @property
    def source(self) -> str:
        """The best program's text."""
        return self.best.proposal.source

    def show(self) -> None:
        """Print the candidates, the best program and its fitness; in a notebook, show them as a table."""
        from rewardsmith.report import notebook
        from rewardsmith.report.tables import make_console, print_result

        if notebook.is_notebook():
            from IPython.display import HTML, display

            display(HTML(self._repr_html_()))  # type: ignore[no-untyped-call]
        else:
            print_result(self, make_console(sys.stdout), self.path)

    def export(self, out: Path | str = "reward.py", *, candidate: str | None = None, force: bool = False) -> Path:
        """Write a program as one Python file with a Gymnasium wrapper that does not need rewardsmith; return its path.

        The seal ends with the file: its program runs with the rights of whoever runs it. Only a program whose text does
        nothing but compute on arrays is written.

        Args:
            out: the file.
            candidate: a candidate's id; None takes the best.
            force: overwrite an existing file.

        Raises:
            RunError: if the file exists, or there is no such candidate.
            ProgramError: if the program does more than compute on arrays.
        """
        path = Path(out)
        if path.exists() and not force:
            raise RunError(f"{path} exists; force=True overwrites it")
        path.write_text(self._render_export(candidate), encoding="utf-8")
        return path

    def wrap(self, env: Any, *, candidate: str | None = None) -> Any:
        """Return a Gymnasium environment that pays the program's reward instead of its own.

        `info["reward_terms"]` has each term, `info["environment_reward"]` the environment's reward. The program runs in
        this process, as it does from an exported file; see `export`.

        Args:
            env: an environment of the kind that the program was written for.
            candidate: a candidate's id; None takes the best.

        Raises:
            RunError: if there is no such candidate.
            ProgramError: if the program does more than compute on arrays.
        """
        module = types.ModuleType("rewardsmith_exported_reward")
        exec(compile(self._render_export(candidate), "<exported reward>", "exec"), module.__dict__)
        return module.RewardWrapper(env)

    def policy(self, seed: int | None = None, *, candidate: str | None = None) -> PolicyFunction:
        """Return a trained policy: call it with an observation, and it returns an action. It needs no torch.

        Args:
            seed: training seed of the policy; None takes the one with the highest fitness on its held-out episodes.
            candidate: a candidate's id; None takes the best program, retrained where it was.

        Raises:
            RunError: if there is no such candidate, or no trained policy of it.
        """
        from rewardsmith.api.policy_function import load_policy

        return load_policy(Run.open(self.path), candidate or "best", seed)

    def _render_export(self, candidate: str | None) -> str:
        from rewardsmith.api.exports import export_candidate

        return export_candidate(Run.open(self.path), candidate or "best")

    def _repr_html_(self) -> str:
        """Return the result for a notebook: the numbers, the candidates, the program. All text is escaped."""
        from rewardsmith.report.result_lines import summarize_result

        lines = "".join(f"<div>{html.escape(line)}</div>" for line in summarize_result(self))
        rows = "".join(_render_candidate_row(candidate, candidate.id == self.best.id) for candidate in self.candidates)
        head = "<tr><th>candidate</th><th>fitness in the search</th><th>status</th><th>made from</th></tr>"
        report = RunLayout(self.path).report
        link = f"<div>full report: <code>{html.escape(str(report))}</code></div>" if report.is_file() else ""
        return (
            f"<div><b>{html.escape(self.task)}</b> on {html.escape(self.env_id)}{lines}"
            f"<table>{head}{rows}</table>"
            f"<details open><summary>The best program, {html.escape(self.best.id)}</summary>"
            f"<pre>{html.escape(self.source.strip())}</pre></details>{link}</div>"
        )


def _render_candidate_row(candidate: Candidate, is_best: bool) -> str:
    mark = " ★" if is_best else ""
    parents = ", ".join(candidate.proposal.parents) or "–"
    cells = (candidate.id + mark, format_number(candidate.fitness), candidate.status, parents)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
