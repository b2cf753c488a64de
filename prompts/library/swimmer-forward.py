# /// reward
# task = "Swim forward as far as you can."
# env_id = "Swimmer-v5"
# fitness = "x_position[-1] - start.x_position"
# ///

WEIGHTS = {"forward": 1.0, "effort": 0.0001}


def reward(before, action, after):
    # The progress over the step: the velocity at an instant swings with the stroke.
    return {"forward": (after.x_position - before.x_position) / 0.04, "effort": -np.sum(action**2, axis=1)}
