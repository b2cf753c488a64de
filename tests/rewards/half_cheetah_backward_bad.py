# Pays for running forward.
WEIGHTS = {"forward": 1.0}


def reward(after):
    return {"forward": after.x_velocity}
