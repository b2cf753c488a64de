# Pays for walking back.
WEIGHTS = {"back": 1.0}


def reward(after):
    return {"back": -after.x_velocity}
