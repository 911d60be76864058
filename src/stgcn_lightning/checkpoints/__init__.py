"""Weights in files: ours, foreign names, the zoo, safetensors, ONNX."""
