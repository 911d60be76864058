"""Messages of other packages that are suppressed, each with the reason; all others are shown.

Importing this file suppresses them in the whole process; every file that starts Lightning does.
"""

import logging
import warnings

import lightning.pytorch  # noqa: F401 - it sets its own levels when it is imported

# Lightning announces absent accelerators and other products at every start; its warnings stay
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)

# which speak when they are asked to: trainer.enable_model_summary=true, +trainer.profiler=simple
for name in ("callbacks.model_summary", "utilities.model_summary", "profilers"):
    logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.INFO)

LEFT_OUT = {  # beginning of a warning -> why it is not needed
    "Experiment logs directory .* exists and is not empty": "a run directory never is, and "
    "jobs.resuming saves what this warns of",
    "Checkpoint directory .* exists and is not empty": "a run that is resumed has checkpoints; "
    "jobs.training refuses to overwrite those of another",
    "You're resuming from a checkpoint that ended before": "it cannot know that ours continue "
    "within the epoch",
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated": "Lightning 2.6 calls what torch 2.13 has "
    "renamed",
    "`broadcast_buffers` is deprecated": "torch below 2.13 has no other name for it",
    "The `srun` command is available on your system but is not used": "on a login node of SLURM a "
    "door runs its job there, as its user asked",
    "Found .* module\\(s\\) in eval mode at the start of training": "recipe.freeze=backbone holds "
    "the statistics of what is frozen",
    "Grad strides do not match bucket view strides": "sides of length 1 have any stride, and a "
    "gradient is copied into its bucket in any case",
    "GPU available but not used": "trainer=cpu asks for that, and a training says its device",
    "The '.*_dataloader' does not have many workers": "our loader is as fast without workers "
    "(docs/benchmarks.md)",
}
for message in LEFT_OUT:
    warnings.filterwarnings("ignore", message)
