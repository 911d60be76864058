"""Annotations to batches: read, check, normalise, store, sample, gather."""
