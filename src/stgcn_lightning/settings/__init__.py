"""A composed configuration to frozen dataclasses, checked once: here the configuration ends.

`compose.settings_of(door, cfg)` is called by whoever starts a job; everything below this room takes
the dataclasses of `doors` or parts of them, and knows neither Hydra nor OmegaConf.
"""
