# Pays for hanging down.
WEIGHTS = {"down": 1.0}


def reward(after):
    return {"down": -after.cos_angle}
