"""What happens around training: checkpoints, and what a person sees of it."""
