"""Scores in files, fusion, intervals, accuracies, statistics and published figures."""
