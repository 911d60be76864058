"""A composed configuration to frozen dataclasses, checked once: here the configuration ends.

`launching` calls `compose.settings_of(door, cfg)` before a job; every room below takes the
dataclasses of `doors` or parts of them, and knows neither Hydra nor OmegaConf.
"""
