# Pays for running backward.
WEIGHTS = {"backward": 1.0}


def reward(after):
    return {"backward": -after.x_velocity}
