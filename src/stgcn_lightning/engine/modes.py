"""How a model can be compiled; without torch, for `settings`."""

# modes of `torch.compile`; those but the first and the third replay CUDA graphs
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
