# Pays for a low gripper, wherever the target is.
def reward(after):
    return {"low": -after.gripper_position[:, 2]}
