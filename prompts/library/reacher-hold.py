# /// reward
# task = "Bring the fingertip to the target and hold it there."
# env_id = "Reacher-v5"
# fitness = "-mean(target_distance)"
# ///

WEIGHTS = {"near": 1.0, "there": 0.2, "effort": 0.1}


def reward(action, after):
    # `near` has a slope everywhere, `there` pays for the last centimetres, where that slope is too shallow to matter.
    return {
        "near": -after.target_distance,
        "there": np.exp(-((after.target_distance / 0.03) ** 2)),
        "effort": -np.sum(action**2, axis=1),
    }
