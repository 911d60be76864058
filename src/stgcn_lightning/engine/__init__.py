"""The same models, faster, applied from outside."""
