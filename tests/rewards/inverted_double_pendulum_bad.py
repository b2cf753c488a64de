# Pays for a low tip: the poles fall at once.
WEIGHTS = {"low": 1.0}


def reward(after):
    return {"low": -after.tip_height}
