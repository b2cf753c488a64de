# Pays for a low torso and a backward fall.
WEIGHTS = {"low": 1.0, "backward": 1.0}


def reward(after):
    return {"low": -after.torso_height, "backward": -after.x_velocity}
