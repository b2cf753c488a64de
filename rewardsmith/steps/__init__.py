"""The six steps of the loop, in its order: designer, critic, trainer, evaluator, analyzer, evolution.

None imports another; `rewardsmith.loop` puts them together.
"""
