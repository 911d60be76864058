#!/usr/bin/env bash
# The 16 trainings of grid_8gpu.sh as jobs of SLURM, one GPU each (pip install "stgcn_lightning[slurm]").
# A job that is pre-empted saves its state, and continues when it is queued again. With 8 GPUs a job:
#   scripts/grid_slurm.sh trainer=slurm trainer.devices=8 data.batch_size=16 model.norm_group=null \
#     hydra.launcher.gpus_per_node=8 hydra.launcher.tasks_per_node=8
#
#   scripts/grid_slurm.sh [overrides, e.g. hydra.launcher.partition=NAME logger=[csv,wandb]]
#   python -m stgcn_lightning.sweeps runs/sweeps/TIME    # the table of the jobs that have ended
set -euo pipefail
exec "${PYTHON:-python}" -m stgcn_lightning.train -m 'experiment=glob(ntu*_xsub_*)' trainer=gpu \
  hydra/launcher=submitit_slurm hydra.launcher.gpus_per_node=1 hydra.launcher.cpus_per_task=4 \
  hydra.launcher.timeout_min=240 data.batch_size=128 model.norm_group=16 test_after=true \
  resume=auto "$@"
