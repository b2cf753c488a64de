"""Tasks of mjlab, on a GPU or a CPU: MuJoCo Warp steps thousands of environments, rsl_rl's PPO learns (docs/gpu.md).

tasks       a task by its id, its device, and the environments that it is made into
fields      signals from the simulation's tensors    catalogue   the signals that a task offers
recorder    in place of mjlab's reward manager       rollouts    what a rollout leaves on the device, and on the host
learner     the training loop                        policies    rsl_rl's actor as a policy of ours
train, evaluate, probe, film                         the jobs
"""
