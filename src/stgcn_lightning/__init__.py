"""ST-GCN for skeleton-based action recognition on PyTorch Lightning and Hydra."""
