#!/usr/bin/env bash
# On cores that others use too, more threads than one cost no time, nor do more threads and ranks than there are cores.
. "$(dirname "$0")/common.sh"

cores=()
for core in $(seq 0 1023); do
  if taskset -c "$core" true 2>/dev/null; then cores+=("$core"); fi
  if [[ ${#cores[@]} == 2 ]]; then break; fi
done
list=$(IFS=,; echo "${cores[*]}")
make_inputs

loops=()
trap 'kill "${loops[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
for core in "${cores[@]}"; do
  taskset -c "$core" bash -c 'while :; do :; done' &
  loops+=($!)
done

# milliseconds THREADS COMMAND...: what the command takes beside the loops, or the whole limit.
milliseconds() {
  local threads=$1 began
  shift
  began=$(date +%s%N)
  OMP_NUM_THREADS=$threads timeout 30 taskset -c "$list" nice -n 5 "$@" >out.txt 2>&1 || [[ $? == 124 ]] || { cat out.txt >&2; die "$*"; }
  echo $((($(date +%s%N) - began) / 1000000))
}

# The lesser of two turns each: a machine has slow moments.
one=30000 two=30000 crowd=30000
for turn in 1 2; do
  run=("${train[@]}" --max-steps 60 --quiet --output-dir)
  now=$(milliseconds 1 "$expunge" "${run[@]}" "one-$turn") && one=$((now < one ? now : one))
  now=$(milliseconds 2 "$expunge" "${run[@]}" "two-$turn") && two=$((now < two ? now : two))
  now=$(milliseconds 2 mpirun -n 2 --oversubscribe --bind-to none "$expunge" "${run[@]}" "crowd-$turn")
  crowd=$((now < crowd ? now : crowd))
  if ((two < 2 * one && crowd < 2 * one + 5000)); then break; fi
done
echo "one thread $one ms, two threads $two ms, two ranks of two threads $crowd ms"
((two < 2 * one)) || die "two threads take $two ms, one takes $one ms"
((crowd < 2 * one + 5000)) || die "two ranks of two threads take $crowd ms, one thread takes $one ms"
