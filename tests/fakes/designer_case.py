"""A brief, its candidates and a scripted language model, for the tests of the designer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rewardsmith.contract.records import Brief, Candidate, Proposal, Reflection, Signal, Status
from rewardsmith.llm import Completion, Message, Request

PROGRAM = 'WEIGHTS = {"speed": 1.0}\n\ndef reward(after):\n    return {"speed": after.speed}\n'
ANSWER = f"Pay for speed. It is simple.\n\n```python\n{PROGRAM}```"


@dataclass
class Script:
    """A language model that answers from a list and records the prompts."""

    answers: list[str | tuple[str, str]]
    asked: list[tuple[str, int, tuple[Message, ...]]] = field(default_factory=list)
    name: str = "small"

    def complete(self, messages: Sequence[Message], *, role: str, sample: int = 0) -> Completion:
        self.asked.append((role, sample, tuple(messages)))
        answer = self.answers.pop(0)
        text, finish = answer if isinstance(answer, tuple) else (answer, "stop")
        key = Request(self.name, tuple(messages), 1.0, None).key(role, sample)
        return Completion(text, finish, 10, 10, None, key, 0.1, False)


BRIEF = Brief(
    task="Run as fast as you can",
    env_id="Runner-v0",
    env_about="A runner with two legs on flat ground.\nAn episode ends when it falls.",
    signals=(
        Signal("speed", (), "m/s", "Forward speed of the torso.", "obs[0]"),
        Signal("joint_angles", (4,), "rad", "Angles of the joints | hip first.", "qpos[3:7]"),
    ),
    action="(4,) in [-1, 1]: torque of each joint, as part of the strongest",
    generation=0,
    population=4,
    seed=0,
)


def candidate(id: str, fitness: float | None = None, status: Status = "ok", cause: str | None = None) -> Candidate:
    """Return a candidate with a reflection where it has a fitness."""
    source = f"def reward(after):\n    return {{'speed_{id}': after.speed}}\n"
    return Candidate(
        id=id,
        generation=int(id[1]),
        slot=int(id[3:]),
        proposal=Proposal(source, "llm:small", ("g0c00",) if id[1] != "0" else (), f"Idea of {id}. And more | of it."),
        status=status,
        fitness=fitness,
        reflection=None if fitness is None else Reflection(f"The course of {id}."),
        cause=cause,
    )


FIRST = (
    candidate("g0c00", 12.3456),
    candidate("g0c01", -0.5),
    candidate("g0c02", status="failed", cause="row 3 of term 'speed' is not finite after 12.5 s"),
    candidate("g0c03", status="infrastructure", cause="the machine was rebooted"),
)
SECOND = replace(
    BRIEF, generation=1, parents=(FIRST[0], FIRST[1]), history=FIRST, notes=("It should not hop.", "Arms down.")
)


def render_last_request(model: Script) -> str:
    _, _, messages = model.asked[-1]
    return "\n".join(f"===== {message.role}\n{message.content}" for message in messages)
