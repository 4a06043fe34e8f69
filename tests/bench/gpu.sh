#!/usr/bin/env bash
# Speed on one GPU: steps, evaluation, and each kernel against what the GPU can do; beside them transformers and PyTorch doing the
# same on the same GPU. Ends within nine minutes and prints each figure as soon as it is known; every part has a time limit of its
# own, so that one that hangs costs no more than that. Written for a GPU of 141 GB; the weights are random.
#
# usage: [MODEL=yi-6b|1b|tiny] [DEVICE=cuda|cpu] gpu.sh EXPUNGE [PYTHON]
#   EXPUNGE  of a build or of a bundle with tests; expunge_bench is looked for beside it
#   PYTHON   one with torch and transformers; without it the peer's lines say "not installed"
#   MODEL    1b (TinyLlama's shape) for smaller GPUs, tiny with DEVICE=cpu to try the script
set -uo pipefail
[[ $# -ge 1 ]] || { sed -n 's/^# \?//; 2,/^set/ { /^set/!p }' "$0"; exit 2; }
expunge=$(realpath -s "$1") here=$(cd "$(dirname "$0")" && pwd)
peer=() model=${MODEL:-yi-6b} device=${DEVICE:-cuda}
if [[ -n ${2:-} ]] && command -v "$2" >/dev/null; then
  peer=("$(command -v "$2")" "$here/gpu_peer.py")
  source "$here/../cuda/libraries.sh" "$expunge" "$2"
fi
bench=$(dirname "$expunge")/expunge_bench
[[ -x $bench ]] || bench=$(dirname "$expunge")/tests/bench/expunge_bench
[[ -x $bench ]] || { echo "$0: no expunge_bench beside $expunge; build it (cmake --build build --target expunge_bench)" >&2; exit 2; }
limit=530

"$expunge" --version
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
busy() { [[ -n $(command -v nvidia-smi >/dev/null && nvidia-smi --query-compute-apps=pid --format=csv,noheader 2>/dev/null) ]]; }
# part SECONDS SECTION
part() {
  local seconds=$(($1 < limit - SECONDS ? $1 : limit - SECONDS)) code=0
  ((seconds > 5)) || { echo "no time left for: $2"; return; }
  for _ in {1..20}; do busy || break; sleep 0.5; done  # what was cut gives its memory back
  timeout -k 5 "$seconds" "$bench" gpu "$2" "$model" "$device" ${peer[@]+"${peer[@]}"} || code=$?
  case $code in
    0) ;;
    124 | 137) echo "cut after $seconds s: $2" ;;
    *) echo "failed with exit code $code: $2" ;;
  esac
  ((code == 0)) || failed=1
}
failed=0
part 150 step
part 75 kernels
part 150 mix
part 180 kl
part 100 evaluate
[[ ${#peer[@]} -eq 0 ]] || part 150 compiled
echo "took $SECONDS s"
exit "$failed"
