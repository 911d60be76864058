#!/usr/bin/env bash
# All that is to be measured on a GPU, in short parts: none needs another one, each has a limit of time, and what it
# prints is kept in FOLDER/PART.txt. In all at most 19 minutes; name the parts that the time suffices for.
#
#   bash scripts/bench/gpu_day.sh FOLDER [PART ...]       # default: tests stgcn precisions families
#   DEVICE=cpu bash scripts/bench/gpu_day.sh FOLDER       # small sizes, to see that it runs
set -uo pipefail
DEVICE=${DEVICE:-cuda}
OUT=$(mkdir -p "$1" && cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.."
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} WANDB_MODE=disabled

if [ "$DEVICE" = cuda ]; then
  size="" trainer=gpu model="model.base_channels=64 data.clip_frames=100"
  samples="benchmark.synthetic.train_samples=4000 benchmark.synthetic.val_samples=2000"
else
  size="--quick --steps 1 --rounds 1 --batches 16 --modes eager" trainer=cpu model="model.base_channels=8"
  samples="benchmark.synthetic.train_samples=100 benchmark.synthetic.val_samples=60"
  export STGCN_GPU=cpu
fi

part() { # NAME SECONDS COMMAND...: what it prints, and how it ended
  echo "== $1: $(date +%T)"
  timeout "$2" "${@:3}" 2>&1 | tee "$OUT/$1.txt" | tail -n 25
  echo "== $1 ended with ${PIPESTATUS[0]}: $(date +%T)"
}

tests() {
  part tests 240 python -m pytest -q -m gpu -n 6 --maxprocesses=6
}

stgcn() {
  part stgcn 300 python scripts/bench/gpu.py --device $DEVICE --rounds 3 --steps 10 $size
}

families() { # each alone, so that one that fails or takes long leaves the others
  for family in stgcnpp agcn aagcn ctrgcn msg3d dgstgcn protogcn; do
    part "$family" 60 python scripts/bench/gpu.py --device $DEVICE --rounds 3 --steps 5 --models $family --batches 128 \
      --modes eager default --precisions tf32 bf16 $size
  done
}

precisions() { # accuracy of three seeds, with intervals
  for precision in float32 tf32 bf16; do
    tf32=true bits=32-true
    [ $precision = float32 ] && tf32=false
    [ $precision = bf16 ] && bits=bf16-mixed
    part "accuracy_$precision" 60 python -m stgcn_lightning.reproduce benchmark=synthetic streams=[joint] \
      seeds=[0,1,2] trainer=$trainer $model $samples tf32=$tf32 trainer.precision=$bits \
      data.store_dir="$OUT/stores" hydra.run.dir="$OUT/runs/$precision"
  done
}

python -c 'import torch; print("torch", torch.__version__, "CUDA", torch.version.cuda)'
[ "$DEVICE" = cpu ] || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
git log -1 --format='commit %h' 2> /dev/null
[ $# -gt 0 ] || set -- tests stgcn precisions families
for name; do
  case $name in
    tests | stgcn | precisions | families) $name ;;
    *) echo "$name is no part: choose from tests, stgcn, precisions, families" >&2 && exit 2 ;;
  esac
done
