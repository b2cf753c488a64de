# Pays for standing tall.
def reward(after):
    return {"tall": after.height}
