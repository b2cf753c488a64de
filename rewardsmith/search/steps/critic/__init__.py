"""The critic: judges a reward program by its text and by what it pays on recorded transitions.

review              the checks that every program passes first
  static_checks       errors that its text shows: the contract's names
    language_checks     what it uses of Python and NumPy
  trial_scoring       errors that show when it scores transitions recorded under random actions
    repeat_checks       the same transitions scored again: other calls must not change a transition's score
  source_lines        the line of the program that a failure is about
term_constraints    the user's pins and bans, and the terms of training.constraints
llm_reviewer        a language model's opinion on whether it rewards what the task asks
critic              these in their order, for one search

behaviour_signature measures how differently two programs pay, by the STARC metric (`starc`); `rewardsmith compare` and
the diversity of parents use it.
"""

from rewardsmith.search.steps.critic.critic import Critic, find_trainable
from rewardsmith.search.steps.critic.review import check_program, check_program_of_run

__all__ = ["Critic", "check_program", "check_program_of_run", "find_trainable"]
