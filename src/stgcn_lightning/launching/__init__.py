"""Processes and sweeps: who runs, where, and how it ends."""
