"""The records that cross a border: between steps, processes, files and sessions.

Every record is a frozen dataclass of plain values, so that it travels as JSON (`dump`, `load`, `read`,
`write`). Arrays never travel inside a record: they lie in an .npz file in the same folder.

environment  Signal, Metric, InfoEntry, EnvSpec
programs     Proposal, Finding, TermStats, ScoredSample, TrialScoring, Verdict
jobs         TrainSettings, OffPolicySettings, Limits, Job, ProbeJob, ReferenceScores, TrainJob, EvaluateJob, RenderJob,
             load_job (in);
             CurvePoint, Rung, Episode, Probe, Training, Evaluation, Video (out)
search       SlotAssignment, GenerationPlan, TermConstraint, Brief, EpisodeReading, Reflection, Candidate;
             Interval, Finalist, FinalistRound, ReportedMetric, Baselines, Ensemble, ModelUsage, Result (the outcome);
             DoctorCheck
json_files   dump, load, load_from_file, read, write: a record as JSON

A missing value is None, never 0. `status` says how a job or a candidate ended and is not a score.
"""

from rewardsmith.contract.records.environment import EnvSpec, InfoEntry, Metric, Signal
from rewardsmith.contract.records.jobs import (
    CurvePoint,
    Episode,
    EvaluateJob,
    Evaluation,
    Job,
    JobResult,
    Limits,
    OffPolicySettings,
    PolicyJob,
    Probe,
    ProbeJob,
    ReferenceScores,
    RenderJob,
    Rung,
    Training,
    TrainJob,
    TrainSettings,
    Video,
    load_job,
)
from rewardsmith.contract.records.json_files import dump, load, load_from_file, read, write, write_text
from rewardsmith.contract.records.programs import (
    TIMED_FINDINGS,
    Finding,
    Proposal,
    ScoredSample,
    TermStats,
    TrialScoring,
    Verdict,
)
from rewardsmith.contract.records.search import (
    Baselines,
    Brief,
    Candidate,
    DoctorCheck,
    Ensemble,
    EpisodeReading,
    Example,
    Finalist,
    FinalistRound,
    GenerationPlan,
    Interval,
    ModelUsage,
    Reflection,
    ReportedMetric,
    Result,
    SlotAssignment,
    TermConstraint,
)
from rewardsmith.contract.records.types import (
    Count,
    Effort,
    EnsembleRule,
    Fraction,
    JsonValue,
    Mode,
    Positive,
    Scalar,
    Severity,
    Status,
)

__all__ = [
    "TIMED_FINDINGS",
    "Baselines",
    "Brief",
    "Candidate",
    "Count",
    "CurvePoint",
    "DoctorCheck",
    "Effort",
    "Ensemble",
    "EnsembleRule",
    "EnvSpec",
    "Episode",
    "EpisodeReading",
    "EvaluateJob",
    "Evaluation",
    "Example",
    "Finalist",
    "FinalistRound",
    "Finding",
    "Fraction",
    "GenerationPlan",
    "InfoEntry",
    "Interval",
    "Job",
    "JobResult",
    "JsonValue",
    "Limits",
    "Metric",
    "Mode",
    "ModelUsage",
    "OffPolicySettings",
    "PolicyJob",
    "Positive",
    "Probe",
    "ProbeJob",
    "Proposal",
    "ReferenceScores",
    "Reflection",
    "RenderJob",
    "ReportedMetric",
    "Result",
    "Rung",
    "Scalar",
    "ScoredSample",
    "Severity",
    "Signal",
    "SlotAssignment",
    "Status",
    "TermConstraint",
    "TermStats",
    "TrainJob",
    "TrainSettings",
    "Training",
    "TrialScoring",
    "Verdict",
    "Video",
    "dump",
    "load",
    "load_from_file",
    "load_job",
    "read",
    "write",
    "write_text",
]
