#!/usr/bin/env bash
# The main job on the embedded data: train joint and bone, test both with 10 clips, fuse.
set -euo pipefail
cd "$(dirname "$0")/.."
run=runs/quickstart/$(date +%Y-%m-%d_%H-%M-%S)

step() {
  printf '\n$ python -m stgcn_lightning.%s\n' "$*"
  python -m "stgcn_lightning.$1" "${@:2}"
}

for stream in joint bone; do
  step train experiment=quickstart stream=$stream test_after=true hydra.run.dir="$run/$stream"
done
step fuse "streams={joint: $run/joint/scores.npz, bone: $run/bone/scores.npz}" preset=two_stream \
  scores="$run/fused.npz" hydra.run.dir="$run/fusion"
printf '\nEverything is in %s: checkpoints, metrics.csv, scores.npz and two reports of each stream, and fused.npz\n' "$run"
