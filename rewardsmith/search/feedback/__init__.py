"""Feedback of people: inputs to a run, their effect on the next generation, and rankings by comparisons.

events           records of the inputs                      state            inputs in force, from the journal
record           functions that add an input                prompt_notes     notes, terms and programs of a generation
references       candidates, episodes and terms by name
bradley_terry    strengths from comparisons, next pairs     ranking          order of the candidates and its uncertainty
search_feedback  feedback and judge, as a search uses them  rank_option      `--fitness people` and `--fitness judge`
llm_judge        a language model that compares             factor_ranking   a reward learned from ranked measures
scoring_judge    a language model that scores               episode_material recorded episodes as a judge sees them

Every input is an event of the journal, appended and never changed; docs/feedback.md explains.
"""

from rewardsmith.search.feedback.bradley_terry import SuggestedPair
from rewardsmith.search.feedback.events import (
    Answer,
    Ban,
    ContinueRequest,
    FeedbackEvent,
    FeedbackInput,
    FeedbackState,
    Pin,
    Preference,
    ProgramEdit,
    RankingChange,
    Release,
    UserRemark,
    WeightChange,
    Withdrawal,
)
from rewardsmith.search.feedback.ranking import PreferenceRanking, RankedCandidate, load_ranking, suggest_pairs
from rewardsmith.search.feedback.record import (
    add_preference,
    add_remark,
    ban_term,
    pin_term,
    release_term,
    request_generation,
    set_ranking,
    submit_program,
    submit_weights,
    withdraw_feedback,
)
from rewardsmith.search.feedback.references import check_program, find_candidate, read_terms
from rewardsmith.search.feedback.search_feedback import SearchFeedback, is_waiting_reason
from rewardsmith.search.feedback.state import load_state

__all__ = [
    "Answer",
    "Ban",
    "ContinueRequest",
    "FeedbackEvent",
    "FeedbackInput",
    "FeedbackState",
    "Pin",
    "Preference",
    "PreferenceRanking",
    "ProgramEdit",
    "RankedCandidate",
    "RankingChange",
    "Release",
    "SearchFeedback",
    "SuggestedPair",
    "UserRemark",
    "WeightChange",
    "Withdrawal",
    "add_preference",
    "add_remark",
    "ban_term",
    "check_program",
    "find_candidate",
    "is_waiting_reason",
    "load_ranking",
    "load_state",
    "pin_term",
    "read_terms",
    "release_term",
    "request_generation",
    "set_ranking",
    "submit_program",
    "submit_weights",
    "suggest_pairs",
    "withdraw_feedback",
]
