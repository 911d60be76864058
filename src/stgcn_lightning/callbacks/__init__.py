"""What happens beside the training: checkpoints, signals, progress, dashboards."""
