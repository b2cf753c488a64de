"""The records that cross a border: between steps, processes, files and sessions.

Every record is a frozen dataclass of plain values, so that it travels as JSON (`dump`, `load`, `read`,
`write`). Arrays never travel inside a record: they lie in an .npz file in the same folder.

environment  Signal, LearnedSignal, SignalFacts, Metric, InfoEntry, EnvWrapper, EnvSpec
programs     Proposal, Finding, TermStats, ScoredSample, TrialScoring, Verdict
jobs         Job, PolicyJob, ProbeJob, TrainJob, EvaluateJob, RenderJob, ExportJob, load_job; InitialPolicy,
             ReferenceScores, Rung
job_settings TrainSettings, OffPolicySettings, Limits
job_results  Probe, CurvePoint, Training, Episode, Evaluation, Video, PolicyFile
behaviour    BehaviourDescriptor, BehaviourAim, BehaviourProposal
judge        Subtask, SubtaskScore, JudgeScore
subgoals     Subgoal, SubgoalProposal
search       SlotAssignment, GenerationPlan, TermConstraint, Example, Brief, EpisodeReading, Reflection, Candidate;
             Interval, Finalist, FinalistRound, ReportedMetric, Baselines, Ensemble, WarmStartLineage, StageOutcome,
             ModelUsage, Result (the outcome); DoctorCheck
json_files   dump, load, load_from_file, read, write: a record as JSON

A missing value is None, never 0. `status` says how a job or a candidate ended and is not a score.
"""

from rewardsmith.contract.records.behaviour import BehaviourAim, BehaviourDescriptor, BehaviourProposal
from rewardsmith.contract.records.environment import (
    EnvSpec,
    EnvWrapper,
    InfoEntry,
    LearnedSignal,
    Metric,
    Signal,
    SignalFacts,
)
from rewardsmith.contract.records.job_results import (
    CurvePoint,
    Episode,
    Evaluation,
    JobResult,
    PolicyFile,
    Probe,
    Training,
    Video,
)
from rewardsmith.contract.records.job_settings import Limits, OffPolicySettings, TrainSettings
from rewardsmith.contract.records.jobs import (
    EvaluateJob,
    ExportJob,
    InitialPolicy,
    Job,
    PolicyJob,
    ProbeJob,
    ReferenceScores,
    RenderJob,
    Rung,
    TrainJob,
    load_job,
)
from rewardsmith.contract.records.json_files import dump, load, load_from_file, read, write, write_text
from rewardsmith.contract.records.judge import JudgeScore, Subtask, SubtaskScore
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
    StageOutcome,
    TermConstraint,
    WarmStartLineage,
)
from rewardsmith.contract.records.subgoals import Subgoal, SubgoalProposal
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
    "BehaviourAim",
    "BehaviourDescriptor",
    "BehaviourProposal",
    "Brief",
    "Candidate",
    "Count",
    "CurvePoint",
    "DoctorCheck",
    "Effort",
    "Ensemble",
    "EnsembleRule",
    "EnvSpec",
    "EnvWrapper",
    "Episode",
    "EpisodeReading",
    "EvaluateJob",
    "Evaluation",
    "Example",
    "ExportJob",
    "Finalist",
    "FinalistRound",
    "Finding",
    "Fraction",
    "GenerationPlan",
    "InfoEntry",
    "InitialPolicy",
    "Interval",
    "Job",
    "JobResult",
    "JsonValue",
    "JudgeScore",
    "LearnedSignal",
    "Limits",
    "Metric",
    "Mode",
    "ModelUsage",
    "OffPolicySettings",
    "PolicyFile",
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
    "SignalFacts",
    "SlotAssignment",
    "StageOutcome",
    "Status",
    "Subgoal",
    "SubgoalProposal",
    "Subtask",
    "SubtaskScore",
    "TermConstraint",
    "TermStats",
    "TrainJob",
    "TrainSettings",
    "Training",
    "TrialScoring",
    "Verdict",
    "Video",
    "WarmStartLineage",
    "dump",
    "load",
    "load_from_file",
    "load_job",
    "read",
    "write",
    "write_text",
]
