#!/usr/bin/env bash
# All that is to be measured on a GPU, in short parts: none needs another one, and each has a limit of time. What they
# print is added to FOLDER/log.txt. All together take up to 25 minutes: name those that the time suffices for.
#
#   bash scripts/bench/gpu_day.sh FOLDER [PART ...]    # tests eager compiled families kernels precisions autotune
#   DEVICE=cpu bash scripts/bench/gpu_day.sh FOLDER    # small sizes, to see that it runs
set -uo pipefail
DEVICE=${DEVICE:-cuda} PYTHON=${PYTHON:-python3}
FOLDER=${1:?bash scripts/bench/gpu_day.sh FOLDER [PART ...]}
shift
[ $# -gt 0 ] || set -- tests eager compiled families kernels precisions autotune
for name; do
  case $name in
    tests | eager | compiled | families | kernels | precisions | autotune) ;;
    *) echo "$name is no part: choose from tests, eager, compiled, families, kernels, precisions, autotune" >&2 && exit 2 ;;
  esac
done
LOG=$(mkdir -p "$FOLDER" && cd "$FOLDER" && pwd)/log.txt
cd "$(dirname "$0")/../.."
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} WANDB_MODE=disabled

if [ "$DEVICE" = cuda ]; then
  size="--rounds 3 --steps 10" trainer=gpu model="model.base_channels=64 data.clip_frames=100"
  samples="benchmark.synthetic.train_samples=4000 benchmark.synthetic.val_samples=2000"
else
  size="--quick --steps 1 --rounds 1" trainer=cpu model="model.base_channels=8"
  samples="benchmark.synthetic.train_samples=100 benchmark.synthetic.val_samples=60"
  export STGCN_GPU=cpu
fi

say() {
  echo "$@" | tee -a "$LOG"
}

part() { # SECONDS COMMAND...: what it prints until the time is over, and how it ended
  say "== ${*:2}, from $(date +%T)"
  timeout -s INT -k 10 "$1" "${@:2}" 2>&1 | tee -a "$LOG" | tail -n 25
  say "== ended with ${PIPESTATUS[0]} at $(date +%T)"
}

on_a_gpu() {
  [ "$DEVICE" = cuda ] || { say "== $1: not on a CPU" && false; }
}

checked() { # SECONDS WORDS: the tests that a GPU is needed for, of which the words say some
  part "$1" "$PYTHON" -m pytest -v --tb=short -o filterwarnings=default -p no:benchmark -n 6 --dist worksteal -m gpu \
    -k "$2" tests/engine/test_engine_on_a_gpu.py tests/data/test_clips_on_a_gpu.py tests/doors/test_doors_on_a_gpu.py \
    tests/scripts/test_kernels.py tests/test_recognizer.py
}

bench() { # SECONDS OPTION...
  part "$1" "$PYTHON" scripts/bench/gpu.py --device "$DEVICE" $size "${@:2}"
}

tests() { checked 240 "not autotune"; }
autotune() { checked 300 autotune; }
eager() { bench 120 --modes eager; }
kernels() { on_a_gpu kernels && bench 120 --modes eager --kernels --batches 128 --mixes "4/5 one person"; }
compiled() {
  on_a_gpu compiled || return
  for mode in default reduce-overhead; do
    bench 200 --modes eager $mode --batches 128 --mixes "4/5 one person" --precisions tf32 bf16
  done
}
families() {
  bench 150 --models stgcnpp agcn aagcn ctrgcn msg3d dgstgcn protogcn --modes eager --batches 128 --precisions tf32 bf16
}
precisions() { # accuracy of three seeds, with intervals
  for precision in float32 tf32 bf16; do
    tf32=true bits=32-true
    [ $precision = float32 ] && tf32=false
    [ $precision = bf16 ] && bits=bf16-mixed
    part 150 "$PYTHON" -m stgcn_lightning.reproduce benchmark=synthetic streams=[joint] seeds=[0,1,2] trainer=$trainer \
      $model $samples tf32=$tf32 trainer.precision=$bits data.store_dir="$SCRATCH/stores" \
      hydra.run.dir="$SCRATCH/$precision"
  done
}

say "commit $(git log -1 --format=%h 2> /dev/null)"
[ "$DEVICE" = cpu ] || say "$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader)"
# what is imported for the first time is compiled, with warnings that tests would take for errors
versions=$("$PYTHON" -W ignore -c 'import torch, stgcn_lightning.jobs.training
print("torch", torch.__version__, "CUDA", torch.version.cuda)') || exit
say "$versions"
for name; do
  $name
done
