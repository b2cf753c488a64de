"""People in the loop: what they say about a run, what the next generation is told of it, and who ranks by it.

inputs        what can be said, one record each           history     what of it is in force, from the journal
writing       the functions that say it                   telling     notes, terms and programs for a generation
comparisons   strengths from answers, the next pairs      ranking     who leads, how sure that is, and what is doubtful
panel         people and the judge, as a search meets them
judge         a language model that compares              hierarchy   a reward from a ranking of factors

Every input is an event of the journal, appended and never changed; docs/feedback.md explains.
"""

from rewardsmith.feedback.comparisons import Pair
from rewardsmith.feedback.history import state
from rewardsmith.feedback.inputs import (
    Answer,
    Ban,
    Edit,
    Input,
    More,
    Pin,
    Preference,
    Ranking,
    Release,
    Remark,
    Said,
    State,
    Weights,
)
from rewardsmith.feedback.panel import Panel
from rewardsmith.feedback.ranking import Standing, Standings, next_pairs, standings
from rewardsmith.feedback.writing import (
    ban,
    candidate,
    check,
    edit,
    more,
    pin,
    prefer,
    rank_by,
    release,
    say,
    terms,
    weigh,
)

__all__ = [
    "Answer",
    "Ban",
    "Edit",
    "Input",
    "More",
    "Pair",
    "Panel",
    "Pin",
    "Preference",
    "Ranking",
    "Release",
    "Remark",
    "Said",
    "Standing",
    "Standings",
    "State",
    "Weights",
    "ban",
    "candidate",
    "check",
    "edit",
    "more",
    "next_pairs",
    "pin",
    "prefer",
    "rank_by",
    "release",
    "say",
    "standings",
    "state",
    "terms",
    "weigh",
]
