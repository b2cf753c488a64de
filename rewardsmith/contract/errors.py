"""One tree of errors; what a user meets is a line that says what, where, what is allowed and the next step.

UserError           the user can fix it: a message and exit code 2, never a traceback
  ConfigError         a configuration key or value
  TaskError           a task, an environment id or a card
  FitnessError        a fitness expression
  ProgramError        a reward program, with the findings
  RunError            a run directory
    UnwritableRun       its files cannot be written, as the disk is full for instance: it is resumed when that is mended
RunFailed           the search ended without a result: exit code 1
  NoValidCandidate    no candidate of the whole search could be scored
  ModelError          the language model's endpoint
    ModelUnavailable    not reachable, or overloaded beyond the retries
    ModelRejected       a key, a model name or a request that the endpoint refuses
    ModelRefused        the model declined, or answered without any program
    ReplayMiss          a replayed ledger lacks the request
  BudgetExhausted     a limit of the budget was reached
  SandboxUnavailable  reward programs cannot be sealed on this machine
  WorkerFailed        the machinery around a job failed: retried, never the program's fault
    Upgraded            rewardsmith itself was changed while a search ran: resume it
RewardFailed        a reward program misbehaved while it ran: the program's fault, told to its author
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rewardsmith.contract.records import Finding


class RewardsmithError(Exception):
    """Base of every error that rewardsmith raises on purpose."""


class UserError(RewardsmithError):
    """Raised for a mistake in the input that the user can fix."""


class ConfigError(UserError):
    """Raised when a configuration key is unknown or its value is outside what is allowed."""


class TaskError(UserError):
    """Raised when a task, an environment id or a task card is unknown or malformed."""


class FitnessError(UserError):
    """Raised when a fitness expression does not parse, or names what the episode does not have."""

    @property
    def cause(self) -> str:
        """The message in one line, without the expression that it quotes."""
        return str(self).partition("\n")[0].removeprefix("fitness: ")


class ProgramError(UserError):
    """Raised when the text of a reward program breaks the contract.

    Attributes:
        findings: what was found, each with its line where known.
    """

    findings: tuple[Finding, ...] = ()


class RunError(UserError):
    """Raised when a run directory is missing, unreadable, busy or of another version."""


class UnwritableRun(RunError):
    """Raised when the files of a run directory cannot be written; what is in it stays as it is."""


class SweepError(UserError):
    """Raised when a sweep's file is wrong, or its directory is missing or busy."""


class RunFailed(RewardsmithError):
    """Raised when a search ends without a result."""


class NoValidCandidate(RunFailed):
    """Raised when no candidate of the whole search could be scored."""


class ModelError(RunFailed):
    """Raised when the language model's endpoint does not give what was asked."""


class ModelUnavailable(ModelError):
    """Raised when the endpoint cannot be reached or stays overloaded beyond the retries."""


class ModelRejected(ModelError):
    """Raised when the endpoint refuses the key, the model's name or the request itself."""


class ModelRefused(ModelError):
    """Raised when the model declines to answer."""


class ReplayMiss(ModelError):
    """Raised when a replayed ledger has no answer for the request."""


class BudgetExhausted(RunFailed):
    """Raised when the next call would pass a limit of the budget."""


class SandboxUnavailable(RunFailed):
    """Raised when reward programs cannot be sealed on this machine."""


class WorkerFailed(RunFailed):
    """Raised when the machinery around a job fails, not the program that it ran."""


class Upgraded(WorkerFailed):
    """Raised when processes of two versions of rewardsmith meet; trying again in the same process cannot help."""


class RewardFailed(RewardsmithError):
    """Raised when a reward program misbehaves while it runs.

    Attributes:
        code: one of "error", "timeout", "memory", "shape", "not-finite", "not-deterministic", "killed", "protocol".
        line: line of the program at fault, when known.
    """

    def __init__(self, message: str, *, code: str = "error", line: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
