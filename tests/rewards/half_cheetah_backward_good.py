# ruff: noqa: F821
WEIGHTS = {"backward": 1.0, "upright": 0.3, "effort": 0.05}


def reward(action, after):
    return {
        "backward": np.where(after.torso_upright > 0.0, -after.x_velocity, 0.0),
        "upright": after.torso_upright,
        "effort": -np.sum(action**2, axis=1),
    }
