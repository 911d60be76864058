"""Backbones in plain PyTorch, one file a family."""
