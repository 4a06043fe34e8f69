#!/usr/bin/env bash
# kill -9 of a rank or of all at random moments, checkpoint writing included, then the same command again: the end is bitwise
# that of the run nobody disturbed. Usage: kill.sh EXPUNGE [RUNS]
source "$(dirname "$0")/common.sh" "$1"
runs=${2:-20}
make_inputs
run=("$expunge" "${train[@]}" --max-steps 40 --save-steps 1 --save-total-limit 3 --learning-rate 3e-3 --quiet)

began=$(date +%s%N)
ranks 2 "${run[@]}" --output-dir whole
milliseconds=$((($(date +%s%N) - began) / 1000000))
kills=0
for ((i = 1; i <= runs; ++i)); do
  rm -rf disturbed
  for ((start = 1; ; ++start)); do
    [[ $start -le 20 ]] || die "run $i does not end"
    ranks 2 "${run[@]}" --output-dir "$work/disturbed" >log.txt 2>&1 &
    launcher=$!
    sleep "0.$(printf %03d $((RANDOM % (milliseconds < 999 ? milliseconds : 999))))"
    # A random process of the job: a rank, or mpirun.
    mapfile -t pids < <(pgrep -f -- "--output-dir $work/disturbed")
    if [[ $start -lt 4 && ${#pids[@]} -gt 0 ]] && kill -9 "${pids[RANDOM % ${#pids[@]}]}"; then kills=$((kills + 1)); fi
    code=0
    wait "$launcher" 2>>log.txt || code=$?
    pkill -9 -f -- "--output-dir $work/disturbed" || true  # ranks outlive a killed mpirun for a moment
    [[ $code == 0 ]] && break
  done
  same_parameters whole/checkpoints/step-000040 disturbed/checkpoints/step-000040 || die "run $i: the weights differ"
  h5diff whole/metrics.h5 disturbed/metrics.h5 /train/loss || die "run $i: the losses differ"
done
echo "passed: $runs runs, $kills kills, every end bitwise equal"
