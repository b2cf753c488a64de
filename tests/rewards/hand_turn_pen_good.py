# ruff: noqa: F821
WEIGHTS = {"turn": 1.0, "middle": 5.0, "effort": 0.01}


def reward(action, after):
    return {
        "turn": np.clip(after.pen_angular_velocity[:, 2], -3.0, 3.0),
        "middle": -np.linalg.norm(after.pen_position[:, :2], axis=1),
        "effort": -np.sum(action**2, axis=1),
    }
