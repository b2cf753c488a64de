"""Layout of a run directory: its paths, the ids of its candidates and the owners of trainings, spelled only here.

```
config.toml       the resolved configuration        task.json   the task
user.py           the user's own program            examples.json   library programs shown in the prompts
train.py          the program that `rewardsmith train` measures; there is no search then
provenance.json   format, versions, git, prompts' hash      clock.json      time that the run was worked on
journal.jsonl     every finished step: the only source of truth
llm.jsonl         every answered call of a language model
probe/            transitions under random actions
fitness/          episodes on which a proposed fitness was shown (`--fitness auto`)
subgoals/         random actions on which a model's subgoals were tried (learned signals)
behaviour/        episodes on which proposed behaviour descriptors were tried (`--search map-elites`)
candidates/<id>/  reward.py, candidate.json, reflection.md, train-s<seed>/, eval-s<seed>/, videos/
finalists/<id>/   the best programs trained on seeds of their own, to choose between them
final/<id>/       the best program retrained on fresh seeds, for the reported figure
baseline/         the random policy, and policies trained on the environment reward
ablation/<id>/    a program and the same without one of its terms: complete/, without-<term>/
previous-stage/   the run that this one continues, where the task's card has stages
reward.py         the best program                  result.json the outcome
ensemble.py       the best programs joined          report.html the report
labels/           a language model's labels of captions, a file for each labelled signal
tensorboard/      logs, where asked for             log.txt     jobs, retries, decisions and warnings, for people
```

An *owner* is whatever trainings and evaluations belong to: a candidate's id, "finalists/<id>", "final/<id>",
"final/ensemble-<ids>", "baseline", "ablation/<id>/complete" or "ablation/<id>/without-<term>".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rewardsmith.contract.captions import LABELS_FOLDER
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.robots.store import RUN_FOLDER as ROBOT_FOLDER

# ---------------------------------------------------------------- names

CANDIDATES, FINALISTS, FINAL, BASELINE, PROBE = "candidates", "finalists", "final", "baseline", "probe"
"""Folders of a run directory; FINALISTS, FINAL and BASELINE are the phases after the generations."""
ABLATION = "ablation"
"""Folder of what is trained after the search, to see what each term of a program is worth."""
PREVIOUS_STAGE = "previous-stage"
"""Folder of the run that this one continues, where the task's card has stages."""
SUBGOALS = "subgoals"
"""Folder of the random actions on which a model's subgoals were tried; first part of their keys."""
RANDOM = "random"
"""Name of the evaluation of random actions, which has no training seed."""
ENSEMBLE, LINEAGE = "ensemble", "lineage"
MEASURED_ID = "user"
"""Id of the one candidate of a run that measures a program without a search."""

CONFIG_FILE, JOURNAL_FILE = "config.toml", "journal.jsonl"
REPORT_FILE, TENSORBOARD = "report.html", "tensorboard"
BEFORE_CONFIG = frozenset({"task.json", "provenance.json", ROBOT_FOLDER})
"""Entries of a run directory that are written before its configuration."""
TOP_LEVEL_FILES = (CONFIG_FILE, "task.json", "provenance.json", JOURNAL_FILE, RESULT_FILE, "llm.jsonl")
"""Files that a reader of a run opens."""
FOLDERS = (PROBE, CANDIDATES, FINALISTS, FINAL, BASELINE, ABLATION)

_CANDIDATE_ID = re.compile(r"g(\d{1,6})c(\d{1,6})")
_TRAINING, _EVALUATION, _VIDEOS = "train-s", "eval-", "videos"


# ---------------------------------------------------------------- ids


def candidate_id(generation: int, slot: int) -> str:
    """Return a candidate's id.

    >>> candidate_id(1, 3)
    'g1c03'
    """
    return f"g{generation}c{slot:02d}"


def parse_candidate_id(text: str) -> tuple[int, int] | None:
    """Return the generation and the slot that an id names, "g1c3" for short; None where it is no id.

    >>> parse_candidate_id("g1c3"), parse_candidate_id("../g1c03")
    ((1, 3), None)
    """
    match = _CANDIDATE_ID.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def generation_name(generation: int) -> str:
    """Return the name of a generation in keys and messages.

    >>> generation_name(2)
    'g2'
    """
    return f"g{generation}"


def finalist_owner(id: str) -> str:
    """Return the owner of a candidate's fresh trainings after the last generation.

    >>> finalist_owner("g1c03")
    'finalists/g1c03'
    """
    return f"{FINALISTS}/{id}"


def final_owner(id: str) -> str:
    """Return the owner of a candidate's trainings on fresh seeds."""
    return f"{FINAL}/{id}"


def ensemble_owner(members: Sequence[str]) -> str:
    """Return the owner of an ensemble's trainings: other members are another program."""
    return f"{FINAL}/{ENSEMBLE}-{'-'.join(members)}"


def ablation_owner(id: str, term: str | None) -> str:
    """Return the owner of the trainings of an ablation.

    >>> ablation_owner("g1c03", None), ablation_owner("g1c03", "effort")
    ('ablation/g1c03/complete', 'ablation/g1c03/without-effort')

    Args:
        id: of the candidate.
        term: that is left out; None for the complete program.
    """
    return f"{ABLATION}/{id}/{'complete' if term is None else f'without-{term}'}"


def lineage_owner(id: str) -> str:
    """Return the owner of the report's episodes of a candidate's own policies, where trainings begin with others'."""
    return f"{FINAL}/{LINEAGE}-{id}"


def is_phase(owner: str) -> bool:
    """Return whether an owner belongs to what follows the generations instead of being a candidate of the search."""
    return owner.split("/")[0] in (FINALISTS, FINAL, BASELINE, ABLATION)


def is_finalist(owner: str) -> bool:
    """Return whether an owner's trainings decide between the best programs, after the last generation."""
    return owner.split("/")[0] == FINALISTS


def is_ablation(owner: str) -> bool:
    """Return whether an owner's trainings show what a term is worth; they are no part of the search."""
    return owner.split("/")[0] == ABLATION


# ---------------------------------------------------------------- paths


class RunLayout:
    """Paths of one run directory, as the table above lists them; a folder that has the `config` is one."""

    def __init__(self, path: Path) -> None:
        """Take the run directory."""
        self.path = path
        self.config = path / CONFIG_FILE
        self.task = path / "task.json"
        self.provenance = path / "provenance.json"
        self.journal = path / JOURNAL_FILE
        self.journal_of_format_1 = path / "journal.format1.jsonl"
        self.ledger = path / "llm.jsonl"
        self.clock = path / "clock.json"
        self.result = path / RESULT_FILE
        self.best_program = path / "reward.py"
        self.ensemble_program = path / f"{ENSEMBLE}.py"
        self.user_program = path / "user.py"
        self.measured_program = path / "train.py"
        self.examples = path / "examples.json"
        self.report = path / REPORT_FILE
        self.log = path / "log.txt"
        self.tensorboard_dir = path / TENSORBOARD
        self.probe_dir = path / PROBE
        self.subgoals_dir = path / SUBGOALS
        self.previous_stage_dir = path / PREVIOUS_STAGE
        self.transitions = self.probe_dir / "transitions.npz"
        self.candidates_dir = path / CANDIDATES
        self.finalists_dir = path / FINALISTS

    def label_table(self, signal: str) -> Path:
        """Return the file of a language model's labels of captions, for a learned signal."""
        return self.path / LABELS_FOLDER / f"{signal}.jsonl"

    def motion_dir(self, motion: str | None, purpose: str) -> Path:
        """Return the folder of the episodes of a scripted motion, on which a proposal was tried; None: random ones."""
        return self.path / purpose / (motion or RANDOM)

    def candidate_dir(self, id: str) -> Path:
        """Return a candidate's folder."""
        return self.candidates_dir / id

    def candidate_record(self, id: str) -> Path:
        """Return the file of everything that is known of a candidate."""
        return self.candidate_dir(id) / "candidate.json"

    def candidate_program(self, id: str) -> Path:
        """Return the file of a candidate's program."""
        return self.candidate_dir(id) / "reward.py"

    def reflection_file(self, id: str) -> Path:
        """Return the file of a candidate's reflection."""
        return self.candidate_dir(id) / "reflection.md"

    def list_candidate_records(self) -> list[Path]:
        """Return the records of the candidates that were judged so far."""
        return sorted(self.candidates_dir.glob("*/candidate.json"))

    def owner_dir(self, owner: str) -> Path:
        """Return the folder of an owner's trainings and evaluations."""
        return self.path / owner if is_phase(owner) else self.candidate_dir(owner)

    def training_dir(self, owner: str, seed: int) -> Path:
        """Return the folder of a training."""
        return self.owner_dir(owner) / f"{_TRAINING}{seed}"

    def evaluation_dir(self, owner: str, seed: int | None) -> Path:
        """Return the folder of the evaluation of a training's policy; of random actions without a seed."""
        return self.owner_dir(owner) / f"{_EVALUATION}{name_evaluation(seed)}"

    def list_evaluations(self, owner: str) -> list[tuple[int, Path]]:
        """Return the training seeds whose policies were evaluated, ascending, with the folders."""
        start = f"{_EVALUATION}s"
        found = [(folder.name.removeprefix(start), folder) for folder in self.owner_dir(owner).glob(f"{start}*")]
        return sorted((int(seed), folder) for seed, folder in found if seed.isdecimal())

    def list_owner_dirs(self) -> list[Path]:
        """Return the folders of all owners that have one."""
        patterns = (f"{CANDIDATES}/*", f"{FINALISTS}/*", f"{FINAL}/*", f"{ABLATION}/*/*")
        folders = [path for pattern in patterns for path in sorted(self.path.glob(pattern))]
        return [path for path in (*folders, self.path / BASELINE) if path.is_dir()]

    def iter_trainings(self) -> Iterator[tuple[str, str, Path]]:
        """Yield the owner, the seed and the folder of every training that was begun."""
        for pattern in (f"{CANDIDATES}/*", f"{FINALISTS}/*", f"{FINAL}/*", BASELINE, f"{ABLATION}/*/*"):
            for folder in sorted(self.path.glob(f"{pattern}/{_TRAINING}*")):
                parts = folder.relative_to(self.path).parts[:-1]
                owner = parts[-1] if parts[0] == CANDIDATES else "/".join(parts)
                yield owner, folder.name.removeprefix(_TRAINING), folder

    def videos_dir(self, owner: str) -> Path:
        """Return the folder of an owner's videos."""
        return self.owner_dir(owner) / _VIDEOS

    def list_filmed_candidates(self) -> list[str]:
        """Return the ids of the candidates that have a folder of videos."""
        return sorted(path.parent.name for path in self.candidates_dir.glob(f"*/{_VIDEOS}"))

    def list_training_results(self, owners: str) -> list[Path]:
        """Return the results of the trainings whose owners match a pattern, "final/*" for instance."""
        return sorted(self.path.glob(f"{owners}/{_TRAINING}*/{RESULT_FILE}"))


def name_evaluation(seed: int | None) -> str:
    """Return the name of an evaluation in paths and keys; None: of random actions."""
    return RANDOM if seed is None else f"s{seed}"
