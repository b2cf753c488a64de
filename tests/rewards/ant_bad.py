# Pays for walking the wrong way.
WEIGHTS = {"back": 1.0}


def reward(after):
    return {"back": -after.x_velocity}
