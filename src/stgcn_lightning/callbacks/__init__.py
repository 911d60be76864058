"""Callbacks of the training: checkpoints, signals, progress, dashboards."""
