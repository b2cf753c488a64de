"""The six steps of the loop, in its order: designer, critic, trainer, evaluator, analyzer, evolution.

None imports another; `rewardsmith.search.loop` puts them together.
"""
