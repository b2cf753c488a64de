"""The records that cross a border: between steps, processes, files and sessions.

Every record is a frozen dataclass of plain values, so that it travels as JSON (`dump`, `load`, `read`,
`write`). Arrays never travel inside a record: they lie in an .npz beside it, and the record names the file.

signals      Signal, Figure, InfoEntry, EnvSpec
programs     Proposal, Finding, TermStats, DryRun, Gate, Verdict
jobs         TrainSettings, OffPolicySettings, Limits, ProbeJob, TrainJob, EvaluateJob, RenderJob (in);
             CurvePoint, Rung, Episode, Probe, Training, Evaluation, Video (out)
search       Assignment, Generation, Wish, Brief, Reading, Feedback, Candidate;
             Interval, ReportedFigure, Baselines, Ensemble, Spent, Result (the outcome)
files        dump, load, read, write: a record as JSON

A missing figure is None, never 0. `status` says how a thing ended and is not a score.
"""

from rewardsmith.contract.records.environment import EnvSpec, Figure, InfoEntry, Signal
from rewardsmith.contract.records.jobs import (
    CurvePoint,
    Episode,
    EvaluateJob,
    Evaluation,
    Job,
    JobResult,
    Limits,
    OffPolicySettings,
    Probe,
    ProbeJob,
    RenderJob,
    Rung,
    Training,
    TrainJob,
    TrainSettings,
    Video,
)
from rewardsmith.contract.records.json_files import dump, load, read, write, write_text
from rewardsmith.contract.records.programs import TIMED_FINDINGS, DryRun, Finding, Gate, Proposal, TermStats, Verdict
from rewardsmith.contract.records.search import (
    Assignment,
    Baselines,
    Brief,
    Candidate,
    Check,
    Ensemble,
    Example,
    Feedback,
    Generation,
    Interval,
    Reading,
    ReportedFigure,
    Result,
    Spent,
    Wish,
)
from rewardsmith.contract.records.types import Count, Effort, Fraction, Mode, Positive, Rule, Scalar, Severity, Status

__all__ = [
    "TIMED_FINDINGS",
    "Assignment",
    "Baselines",
    "Brief",
    "Candidate",
    "Check",
    "Count",
    "CurvePoint",
    "DryRun",
    "Effort",
    "Ensemble",
    "EnvSpec",
    "Episode",
    "EvaluateJob",
    "Evaluation",
    "Example",
    "Feedback",
    "Figure",
    "Finding",
    "Fraction",
    "Gate",
    "Generation",
    "InfoEntry",
    "Interval",
    "Job",
    "JobResult",
    "Limits",
    "Mode",
    "OffPolicySettings",
    "Positive",
    "Probe",
    "ProbeJob",
    "Proposal",
    "Reading",
    "RenderJob",
    "ReportedFigure",
    "Result",
    "Rule",
    "Rung",
    "Scalar",
    "Severity",
    "Signal",
    "Spent",
    "Status",
    "TermStats",
    "TrainJob",
    "TrainSettings",
    "Training",
    "Verdict",
    "Video",
    "Wish",
    "dump",
    "load",
    "read",
    "write",
    "write_text",
]
