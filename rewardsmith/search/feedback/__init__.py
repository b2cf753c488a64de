"""People in the loop: what they say about a run, what the next generation is told of it, and who ranks by it.

inputs        what can be said, one record each           history     what of it is in force, from the journal
writing       the functions that say it                   telling     notes, terms and programs for a generation
comparisons   strengths from answers, the next pairs      ranking     who leads, how sure that is, and what is doubtful
panel         people and the judge, as a search meets them
judge         a language model that compares              hierarchy   a reward from a ranking of factors

Every input is an event of the journal, appended and never changed; docs/feedback.md explains.
"""

from rewardsmith.search.feedback.bradley_terry import Pair
from rewardsmith.search.feedback.events import (
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
from rewardsmith.search.feedback.ranking import Standing, Standings, next_pairs, standings
from rewardsmith.search.feedback.record import (
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
from rewardsmith.search.feedback.search_feedback import Panel
from rewardsmith.search.feedback.state import state

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
