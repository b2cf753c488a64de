"""Signals that no simulator has, computed beside it: once per rollout, in one batch, only where somebody names them.

base       the protocol: a `SignalProvider` gets `Moments` and returns their values
providers  the providers by name, opened with their options
arranged_moments   the moments of a rollout, in the order in which providers get them
env        `LearnedSignalEnv`, the wrapper of a `BatchedEnv` that collects moments and fills the columns
frames     pictures of the environments, for providers that look at them: drawn_envs builds what is drawn, drawing and
           drawing_process draw
"""
