"""Commands of `rewardsmith refine`: each line of the user is recorded as feedback, or shows something."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ProgramError, RunFailed, UserError
from rewardsmith.report.feedback_tables import describe_calibration, describe_event, print_findings, print_standings
from rewardsmith.report.text import collect_remarks, replace_control_chars
from rewardsmith.search import feedback
from rewardsmith.search.setup import SYMBOLIC_NOTICE

if TYPE_CHECKING:
    from rich.console import Console

    from rewardsmith.search.storage import Run

HELP = """Say in words what to change, for the next generation. Or use a command:
  prefer A B [because …]  A is better than B (ids such as g0c1, or
                          episodes such as g0c1/s0/3)
  equal A B, neither A B  both are equally good, equally bad
  pin TERM [ID]           every program must have this term
  ban TERM [ID]           no program may have this term
  free TERM               neither pinned nor banned
  weigh ID TERM=NUMBER …  try ID with other weights
  edit ID                 try ID as you change it in $EDITOR; checked first
  factors A > B > …       try a reward learned from a ranking of quantities,
                          such as: survived > mean(x_velocity)
  people [WEIGHT]         rank programs by comparisons, plus WEIGHT times
                          the metric
  metric                  rank programs by the metric
  undo [NUMBER]           take back the latest feedback, or that one
  show [ID]               the table of candidates, or one program
  ranking                 the ranking by comparisons, and the next pairs
  go                      run the next generation
  quit                    leave; the feedback is saved"""
SAY_HINT = "to give feedback in words, begin with `say`"
SIMILAR_COMMAND = 0.8
"""Smallest similarity of a first word to a command at which it counts as a typing error."""
_REASON = re.compile(r",?\s+because\s+", re.IGNORECASE)
_PAIR_SEPARATOR = re.compile(r"\s+(?:to|over|and)\s+|\s*[:,]\s*|\s+")


class RefineSession:
    """The conversation about one run; what it has recorded is in the journal when a method returns."""

    def __init__(self, run: Run, console: Console, by: str, ask: Callable[[str], str | None]) -> None:
        """Begin the conversation.

        Args:
            run: the run to give feedback about.
            console: the terminal for the answers.
            by: the user's name.
            ask: asks a question and returns the answer; None at the end of the input.
        """
        self.run, self.console, self.by, self._ask = run, console, by, ask
        self._commands: Mapping[str, Callable[[str], None]] = {
            "say": self.add_remark,
            "prefer": lambda rest: self.add_preference(rest, "a"),
            "equal": lambda rest: self.add_preference(rest, "equal"),
            "neither": lambda rest: self.add_preference(rest, "neither"),
            "pin": lambda rest: self.add_constraint(rest, feedback.pin_term),
            "ban": lambda rest: self.add_constraint(rest, feedback.ban_term),
            "free": lambda rest: self.confirm(feedback.release_term(self.run, rest.strip(), by=self.by)),
            "weigh": self.change_weights,
            "edit": self.edit_program,
            "factors": self.learn_from_factors,
            "people": self.rank_by_people,
            "metric": lambda rest: self.confirm(feedback.set_ranking(self.run, "metric", by=self.by)),
            "undo": self.undo_feedback,
            "show": self.show_candidates,
            "ranking": lambda rest: self.show_ranking(),
            "help": lambda rest: self.print_line(HELP),
        }

    def handle_line(self, line: str) -> bool:
        """Handle one line; return whether the next generation should run.

        Raises:
            UserError: if it cannot be recorded; nothing was written then.
            RunFailed: if a program cannot be checked on this machine.
        """
        word, _, rest = line.strip().partition(" ")
        if line.strip() in ("go", "go!"):
            return True
        if word in self._commands:
            self._commands[word](rest)
        elif line.strip():
            self._refuse_misspelt_command(word)
            self.add_remark(line)
        return False

    def _refuse_misspelt_command(self, word: str) -> None:
        similar = difflib.get_close_matches(word, self._commands, n=1, cutoff=SIMILAR_COMMAND)
        if similar:
            raise UserError(f"{word!r} is not a command; did you mean `{similar[0]}`? {SAY_HINT.capitalize()}")

    # ---------------------------------------------------------------- feedback

    def add_remark(self, text: str) -> None:
        """Record feedback in words."""
        self.confirm(feedback.add_remark(self.run, text, by=self.by))
        if self.run.config.search.designer == "symbolic":
            self.print_line(f"Note: {SYMBOLIC_NOTICE}. Words have no effect here; pin, ban, weigh, edit and people do.")

    def add_preference(self, rest: str, answer: feedback.Answer) -> None:
        """Record a preference: two names, and optionally a reason."""
        names, *reasons = _REASON.split(rest, maxsplit=1)
        pair = _PAIR_SEPARATOR.split(names.strip())
        if len(pair) != 2:
            raise UserError(f"name two candidates: prefer g0c0 g0c1 because …; {SAY_HINT}")
        reason = reasons[0] if reasons else ""
        self.confirm(feedback.add_preference(self.run, pair[0], pair[1], answer, reason=reason, by=self.by))

        # A preference has a limited effect while the metric ranks the programs.
        settings = feedback.load_state(self.run).effective_settings(self.run.config.feedback)
        if settings.rank == "metric":
            symbolic = self.run.config.search.designer == "symbolic"
            effect = "" if symbolic else "the next prompts repeat it, and "
            self.print_line(
                f"Note: {effect}the metric ranks the programs of this run; `people` ranks them by comparisons"
            )

    def add_constraint(self, rest: str, write: Callable[..., feedback.FeedbackEvent]) -> None:
        """Record a pin or a ban: a term, and optionally a candidate."""
        parts = rest.split()
        if not 1 <= len(parts) <= 2:
            raise UserError(f"name a term, and optionally a candidate: pin speed g0c1; {SAY_HINT}")
        self.confirm(write(self.run, parts[0], candidate=parts[1] if parts[1:] else None, by=self.by))

    def change_weights(self, rest: str) -> None:
        """Record a program with other weights."""
        id, *parts = rest.split() or [""]
        weights: dict[str, float] = {}
        for part in parts:
            name, _, number = part.partition("=")
            try:
                weights[name] = float(number)
            except ValueError:
                raise UserError(f"{part!r} is not a weight: weigh g0c1 speed=2 effort=0.1; {SAY_HINT}") from None
        self.confirm(feedback.submit_weights(self.run, id, weights, by=self.by))

    def edit_program(self, rest: str) -> None:
        """Open a candidate's program in the user's editor until the critic accepts it or the user gives up."""
        base = feedback.find_candidate(self.run, rest)
        source = base.proposal.source
        while True:
            source = open_in_editor(source)
            try:
                self.confirm(feedback.submit_program(self.run, base.id, source, by=self.by))
                return
            except ProgramError as error:
                print_findings(source, error.findings, self.console)
            except (UserError, RunFailed) as error:
                raise UserError(f"{error}; your program is saved in {save_unused_program(source)}") from error
            answer = self._ask("The critic refuses it. Edit it again? [Y/n] ")
            if answer is None or answer.strip().lower().startswith("n"):
                self.print_line(f"nothing was recorded; your program is saved in {save_unused_program(source)}")
                return

    def learn_from_factors(self, rest: str) -> None:
        """Learn a reward from a ranking of factors, and record it as a program to try."""
        from rewardsmith.search.feedback import factor_ranking

        learned = factor_ranking.learn_reward(self.run, split_ranking(rest))
        self.print_line(learned.about)
        self.confirm(factor_ranking.submit_learned_reward(self.run, learned, by=self.by))

    def rank_by_people(self, rest: str) -> None:
        """Rank the programs by comparisons from now on."""
        try:
            blend = float(rest) if rest.strip() else 0.0
        except ValueError:
            raise UserError(f"people takes a weight of the metric, not {rest!r}; {SAY_HINT}") from None
        self.confirm(feedback.set_ranking(self.run, "people", blend, by=self.by))
        self.show_ranking()

    def undo_feedback(self, rest: str) -> None:
        """Undo the latest feedback, or the one with a number."""
        text = rest.strip().removeprefix("#")
        if text and not (text.isascii() and text.isdigit()):
            raise UserError(f"undo takes the number of the feedback, such as `undo 7`; {SAY_HINT}")
        undone, _ = feedback.withdraw_feedback(self.run, int(text) if text else None, by=self.by)
        self.print_line(f"undone (#{undone.number}): {describe_event(undone)}")

    # ---------------------------------------------------------------- showing

    def show_candidates(self, rest: str) -> None:
        """Show the candidates, or the program of one of them."""
        if rest.strip():
            candidate = feedback.find_candidate(self.run, rest)
            self.print_line(replace_control_chars(candidate.proposal.source.rstrip()))
            for line in collect_remarks(candidate):
                self.print_line(replace_control_chars(line))
            return
        print_overview(self.run, self.console)

    def show_ranking(self) -> None:
        """Show the ranking by comparisons."""
        print_ranking(self.run, self.console)

    def confirm(self, event: feedback.FeedbackEvent) -> None:
        """Print what was recorded."""
        self.print_line(f"recorded (#{event.number}): {describe_event(event)}")

    def print_line(self, text: str) -> None:
        """Print a line without markup."""
        self.console.print(text, markup=False, soft_wrap=True)


def print_overview(run: Run, console: Console) -> None:
    """Print the present state of a run: candidates with curves and alarms, videos, feedback, and the ranking."""
    from rewardsmith.report.estimates import load_estimates
    from rewardsmith.report.tables import print_candidates

    candidates, result, state = run.read_candidates(), run.read_result(), feedback.load_state(run)
    print_candidates(candidates, load_estimates(run, result.best.id if result else None), console)

    # Alarms, and videos to look at.
    lines = [f"{candidate.id}: {remark}" for candidate in candidates for remark in collect_remarks(candidate)]
    files = [path for id in run.layout.list_filmed_candidates() for path in sorted(run.layout.videos_dir(id).iterdir())]
    videos = [f"video: {path}" for path in files if path.suffix in (".mp4", ".webp")]
    lines += videos or [f"videos: none yet; `rewardsmith video {run.path} --all` renders them"]
    if result and result.stopped:
        lines.append(f"the search ended early: {result.stopped}")

    # Feedback in force.
    lines += [f"for the next generation (#{event.number}): {describe_event(event)}" for event in state.pending]
    lines += [f"pinned: {pin.term}" for pin in state.pins]
    lines += [f"banned: {ban.term}" for ban in state.bans]
    for line in lines:
        console.print(replace_control_chars(line), markup=False, soft_wrap=True)

    if state.effective_settings(run.config.feedback).rank != "metric" or state.preferences:
        print_ranking(run, console)


def print_ranking(run: Run, console: Console) -> None:
    """Print the ranking by comparisons, and the judge's agreement with people if a judge ranks."""
    print_standings(feedback.load_ranking(run), feedback.suggest_pairs(run), console)
    if run.config.feedback.rank == "judge" and not run.config.judges_fitness:
        from rewardsmith.search.feedback.llm_judge import measure_calibration

        calibration = measure_calibration(feedback.load_state(run))
        console.print(describe_calibration(calibration), markup=False, soft_wrap=True)


def split_ranking(text: str) -> list[str]:
    """Split a ranking at its ">" signs; those inside brackets belong to the quantity.

    >>> split_ranking("survived > mean(height > 1.2) by 0.1")
    ['survived', 'mean(height > 1.2) by 0.1']
    """
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([") - (char in ")]")
        if char == ">" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def save_unused_program(source: str) -> str:
    """Save a program that was not recorded in a temporary file, and return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="reward-", suffix=".py", delete=False, encoding="utf-8") as file:
        file.write(source)
    return file.name


def open_in_editor(source: str) -> str:
    """Open a text in the editor that $VISUAL or $EDITOR names, and return it as the user saved it.

    Raises:
        UserError: if the editor cannot be run, fails, or leaves no text.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reward.py"
        file.write_text(source, encoding="utf-8")
        try:
            process = subprocess.run([*shlex.split(command), str(file)], check=False)
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"the editor {command!r} cannot be used: {error}; set $EDITOR") from error
    if process.returncode != 0:
        raise UserError(f"the editor {command!r} ended with code {process.returncode}; nothing was recorded")
    return text
