#!/usr/bin/env bash
# The 16 trainings that MMAction2 publishes (NTU60 and NTU120 XSub, 2D and 3D, four streams) on the
# GPUs of this machine, one on each GPU. One GPU trains the recipe of 8 x 16 clips with a batch of
# 128 in norm groups of 16. A table of all 16 comes at the end.
#
#   scripts/grid_8gpu.sh [overrides, e.g. logger=[csv,wandb] recipe.epochs=2]
set -euo pipefail
exec "${PYTHON:-python}" -m stgcn_lightning.train -m 'experiment=glob(ntu*_xsub_*)' trainer=gpu \
  sweep.devices_per_job=1 data.batch_size=128 model.norm_group=16 test_after=true "$@"
