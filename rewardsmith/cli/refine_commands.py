"""The conversation of `rewardsmith refine`: a line of the user's becomes an input, or something to look at."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import ProgramError, RunFailed, UserError
from rewardsmith.report.feedback_tables import calibrated, print_findings, print_standings, told
from rewardsmith.report.text import plain, remarks
from rewardsmith.search import feedback
from rewardsmith.search.setup import SYMBOLIC

if TYPE_CHECKING:
    from rich.console import Console

    from rewardsmith.search.storage import Run

HELP = """Say in words what to change; the next generation is told. Or:
  prefer A B [because …]   A is better than B (g0c1, or an episode g0c1/s0/3); also: equal A B, neither A B
  pin TERM [ID]            every program keeps this term; ban TERM [ID]: none may have it; free TERM: either
  weigh ID TERM=NUMBER …   try ID with other weights
  edit ID                  try ID as you write it, in $EDITOR; it is checked first
  factors A > B > …        try a reward learnt from a ranking of measures, such as: survived > mean(x_velocity)
  people [WEIGHT]          comparisons rank the programs from now on, the metric counting WEIGHT; metric: it does
  show [ID], ranking       the table, or one program; who leads by comparisons, and which pair to look at
  go                       run the next generation;  quit: leave (what was said is kept)"""
IN_WORDS = "to say it in words, begin with `say`"
_REASON = re.compile(r",?\s+because\s+", re.IGNORECASE)


class Talk:
    """Takes lines for one run; what it takes is in the journal when it returns."""

    def __init__(self, run: Run, console: Console, by: str, ask: Callable[[str], str | None]) -> None:
        """Take the run.

        Args:
            run: what is talked about.
            console: where it answers.
            by: the user's name.
            ask: asks a question and returns the answer; None at the end of the input.
        """
        self.run, self.console, self.by, self._ask = run, console, by, ask
        self._commands: Mapping[str, Callable[[str], None]] = {
            "say": self.words,
            "prefer": lambda rest: self.compare(rest, "a"),
            "equal": lambda rest: self.compare(rest, "equal"),
            "neither": lambda rest: self.compare(rest, "neither"),
            "pin": lambda rest: self.wish(rest, feedback.pin),
            "ban": lambda rest: self.wish(rest, feedback.ban),
            "free": lambda rest: self.done(feedback.release(self.run, rest.strip(), by=self.by)),
            "weigh": self.weigh,
            "edit": self.edit,
            "factors": self.factors,
            "people": self.people,
            "metric": lambda rest: self.done(feedback.rank_by(self.run, "metric", by=self.by)),
            "show": self.show,
            "ranking": lambda rest: self.ranking(),
            "help": lambda rest: self.print(HELP),
        }

    def take(self, line: str) -> bool:
        """Take one line; return whether the next generation should run.

        Raises:
            UserError: if it cannot be taken; nothing was written then.
            RunFailed: if a program cannot be checked on this machine.
        """
        word, _, rest = line.strip().partition(" ")
        if line.strip() in ("go", "go!"):
            return True
        if word in self._commands:
            self._commands[word](rest)
        elif line.strip():
            self.words(line)
        return False

    def words(self, text: str) -> None:
        """Take a remark."""
        self.done(feedback.say(self.run, text, by=self.by))
        if self.run.config.search.designer == "symbolic":
            self.print(f"mind: {SYMBOLIC}, so words change nothing here; pin, ban, weigh, edit and people do")

    def compare(self, rest: str, answer: feedback.Answer) -> None:
        """Take a preference: two names, then perhaps why."""
        names, *reason = _REASON.split(rest, maxsplit=1)
        pair = re.split(r"\s+(?:to|over|and)\s+|\s*[:,]\s*|\s+", names.strip())
        if len(pair) != 2:
            raise UserError(f"name two candidates: prefer g0c0 g0c1 because …; {IN_WORDS}")
        said = feedback.prefer(self.run, pair[0], pair[1], answer, reason=reason[0] if reason else "", by=self.by)
        self.done(said)
        if feedback.state(self.run).settings(self.run.config.feedback).rank == "metric":
            tells = "" if self.run.config.search.designer == "symbolic" else "the next prompts repeat it, and "
            self.print(f"mind: {tells}the metric ranks the programs of this run; `people` lets comparisons rank them")

    def wish(self, rest: str, write: Callable[..., feedback.Said]) -> None:
        """Take a pin or a ban: a term, then perhaps a candidate."""
        parts = rest.split()
        if not 1 <= len(parts) <= 2:
            raise UserError(f"name a term, and perhaps a candidate: pin speed g0c1; {IN_WORDS}")
        self.done(write(self.run, parts[0], candidate=parts[1] if parts[1:] else None, by=self.by))

    def weigh(self, rest: str) -> None:
        """Take other weights for a candidate."""
        id, *parts = rest.split() or [""]
        weights: dict[str, float] = {}
        for part in parts:
            name, _, number = part.partition("=")
            try:
                weights[name] = float(number)
            except ValueError:
                raise UserError(f"{part!r} is no weight: weigh g0c1 speed=2 effort=0.1; {IN_WORDS}") from None
        self.done(feedback.weigh(self.run, id, weights, by=self.by))

    def edit(self, rest: str) -> None:
        """Open a candidate's program in the user's editor until the critic accepts it or the user gives up."""
        base = feedback.candidate(self.run, rest)
        source = base.proposal.source
        while True:
            source = edited(source)
            try:
                self.done(feedback.edit(self.run, base.id, source, by=self.by))
                return
            except ProgramError as error:
                print_findings(source, error.findings, self.console)
            except (UserError, RunFailed) as error:
                raise UserError(f"{error}; your program is kept in {kept(source)}") from error
            again = self._ask("It cannot be trained as it is. Edit it again? [Y/n] ")
            if again is None or again.strip().lower().startswith("n"):
                self.print(f"nothing was taken; your program is kept in {kept(source)}")
                return

    def factors(self, rest: str) -> None:
        """Take a ranking of factors, and hand in the reward that is learnt from it."""
        from rewardsmith.search.feedback import factor_ranking

        learnt = factor_ranking.learn(self.run, ranked(rest))
        self.print(learnt.about)
        self.done(factor_ranking.offer(self.run, learnt, by=self.by))

    def people(self, rest: str) -> None:
        """Let comparisons rank."""
        try:
            blend = float(rest) if rest.strip() else 0.0
        except ValueError:
            raise UserError(f"people takes a weight of the metric, not {rest!r}; {IN_WORDS}") from None
        self.done(feedback.rank_by(self.run, "people", blend, by=self.by))
        self.ranking()

    def show(self, rest: str) -> None:
        """Show what happened: the candidates, or one of them."""
        if rest.strip():
            one = feedback.candidate(self.run, rest)
            self.print(plain(one.proposal.source.rstrip()))
            for line in remarks(one):
                self.print(plain(line))
            return
        overview(self.run, self.console)

    def ranking(self) -> None:
        """Show who leads by comparisons."""
        leaders(self.run, self.console)

    def done(self, said: feedback.Said) -> None:
        """Say what was taken."""
        self.print(f"taken: {told(said)}")

    def print(self, text: str) -> None:
        """Print a line as it is."""
        self.console.print(text, markup=False, soft_wrap=True)


def overview(run: Run, console: Console) -> None:
    """Print what happened: every candidate with its curve, alarms, where the videos lie, what waits to be heard."""
    from rewardsmith.report.tables import print_candidates

    candidates, result, known = run.candidates(), run.result(), feedback.state(run)
    print_candidates(candidates, result.best.id if result else None, console)
    lines = [f"{one.id}: {line}" for one in candidates for line in remarks(one)]
    videos = sorted(run.path.glob("candidates/*/videos/*"))
    shown = [str(path) for path in videos if path.suffix in (".mp4", ".webp")]
    lines += [f"video: {path}" for path in shown] or [f"videos: none yet; `rewardsmith video {run.path} --all` renders"]
    if result and result.stopped:
        lines.append(f"the search ended early: {result.stopped}")
    lines += [f"waits to be heard: {told(one)}" for one in known.waiting]
    lines += [f"in force: keep {wish.term}" for wish in known.pins] + [
        f"in force: no {wish.term}" for wish in known.bans
    ]
    for line in lines:
        console.print(plain(line), markup=False, soft_wrap=True)
    if known.settings(run.config.feedback).rank != "metric" or known.preferences:
        leaders(run, console)


def leaders(run: Run, console: Console) -> None:
    """Print who leads by comparisons, and how far the judge can be trusted where one ranks."""
    print_standings(feedback.standings(run), feedback.next_pairs(run), console)
    if run.config.feedback.rank == "judge":
        from rewardsmith.search.feedback.llm_judge import calibration

        console.print(calibrated(calibration(feedback.state(run))), markup=False, soft_wrap=True)


def ranked(text: str) -> list[str]:
    """Return the measures of a ranking; a comparison inside brackets belongs to its measure.

    >>> ranked("survived > mean(height > 1.2) by 0.1")
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


def kept(source: str) -> str:
    """Keep a program that was not taken, and return where."""
    with tempfile.NamedTemporaryFile("w", prefix="reward-", suffix=".py", delete=False, encoding="utf-8") as file:
        file.write(source)
    return file.name


def edited(source: str) -> str:
    """Return a text as the user leaves it in the editor that $VISUAL or $EDITOR names.

    Raises:
        UserError: if the editor cannot be run, fails, or leaves no text.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reward.py"
        file.write_text(source, encoding="utf-8")
        try:
            done = subprocess.run([*shlex.split(command), str(file)], check=False)
            text = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"the editor {command!r} cannot be used: {error}; set $EDITOR") from error
    if done.returncode != 0:
        raise UserError(f"the editor {command!r} ended with code {done.returncode}; nothing was taken")
    return text
