# ruff: noqa: F821
# Turning pays in the air alone, and jumping high makes room for it.
WEIGHTS = {"spin": 1.0, "jump": 0.3, "effort": 0.001}


def reward(before, action, after):
    air = np.where((after.ground_force < 1.0) & (before.ground_force < 1.0), 1.0, 0.0)
    turned = before.torso_pitch - after.torso_pitch
    return {
        "spin": np.where(air > 0.0, np.clip(turned / 0.008, -20.0, 20.0), 0.0),
        "jump": air * np.clip(after.torso_height, 0.0, 2.5),
        "effort": -np.sum(action**2, axis=1),
    }
