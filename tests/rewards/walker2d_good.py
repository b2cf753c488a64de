# ruff: noqa: F821
WEIGHTS = {"forward": 1.0, "upright": 1.0, "effort": 0.001}


def reward(action, after):
    standing = (after.torso_height > 0.8) & (np.abs(after.torso_pitch) < 1.0)
    return {
        "forward": after.x_velocity,
        "upright": np.where(standing, 1.0, 0.0),
        "effort": -np.sum(action**2, axis=1),
    }
