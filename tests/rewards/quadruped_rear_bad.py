# Pays for a nose that points down.
def reward(after):
    return {"nose": -after.nose_up}
