# ruff: noqa: F821
WEIGHTS = {"forward": 1.0, "effort": 0.0001}


def reward(before, action, after):
    # The progress over the step: the velocity at an instant swings with the stroke.
    return {"forward": (after.x_position - before.x_position) / 0.04, "effort": -np.sum(action**2, axis=1)}
