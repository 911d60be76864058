"""Scores on disk, fusion, metrics and published figures."""
