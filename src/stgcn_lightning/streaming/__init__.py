"""Answers while persons move: frames in, labels out, by windows or frame by frame."""
