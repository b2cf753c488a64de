"""Files and options that people write: task cards, settings, presets and model files of other tools."""
