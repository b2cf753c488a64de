"""The critic: a reward program becomes a verdict, from its text and from what it pays on recorded transitions.

checks     `static`, what its text shows: early errors that its author understands, and not the border, which is the
           reward process; `dry_run`, what it does on transitions recorded under random actions
gates      whether it is worth a training beside the others: no duplicate (`signature`, `starc`), no inverted `order`
reviewer   whether it rewards what the task asks, as a language model sees it
wishes     whether it has the terms that the user pinned, and none that the user banned
critic     these in their order, for one search
"""

from rewardsmith.search.steps.critic.critic import Critic, sound
from rewardsmith.search.steps.critic.review import review

__all__ = ["Critic", "review", "sound"]
