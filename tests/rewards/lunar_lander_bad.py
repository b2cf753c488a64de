# Pays for falling fast.
WEIGHTS = {"fall": 1.0}


def reward(after):
    return {"fall": -after.y_velocity}
