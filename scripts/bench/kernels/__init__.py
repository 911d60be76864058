"""Triton kernels of a training step, waiting for a GPU on which they are faster."""
