"""What happens around training: checkpoints, signals, and what a person and the loggers see."""
