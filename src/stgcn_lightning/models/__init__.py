"""Backbones, one file a family: plain PyTorch."""
