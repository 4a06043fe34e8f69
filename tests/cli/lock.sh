#!/usr/bin/env bash
# Two jobs on one run folder: the second refuses and says who has it. A killed job's lock means nothing.
source "$(dirname "$0")/common.sh" "$1"
make_inputs
run=("$expunge" "${train[@]}" --learning-rate 1e-3 --quiet)

SLURM_JOB_ID=77 "${run[@]}" --output-dir run --max-steps 100000 2>log.txt &
job=$!
for _ in $(seq 600); do
  [[ -s run/metrics.h5 ]] && break
  sleep 0.05
done
expect_exit 2 "run: in use by process $job on host $(hostname), job 77, since 20.*Z; .*remove run/.expunge-lock" "${run[@]}" --output-dir run --max-steps 100000
grep -c "expunge: error" out.txt | grep -qx 1 || die "more than one message"
expect_exit 2 "rank 0 of 2: .*run: in use by process $job" ranks 2 "${run[@]}" --output-dir run --max-steps 100000
expect_exit 2 "in use by process $job" "${run[@]}" --output-dir run --max-steps 100000 --overwrite-output-dir
kill -9 $job
wait $job || true
[[ -e run/.expunge-lock ]] || die "the lock's file went away by itself"
"${run[@]}" --output-dir run --max-steps 2 --overwrite-output-dir
[[ ! -e run/.expunge-lock ]] || die "the lock's file stays"

# A start that was killed before it had written its config is no foreign folder.
mkdir -p begun/model
touch begun/.expunge-lock
"${run[@]}" --max-steps 2 --output-dir begun
mkdir -p foreign/model
expect_exit 4 "not a run folder" "${run[@]}" --max-steps 2 --output-dir foreign
[[ $(ls -A foreign) == model ]] || die "a foreign folder was changed"
echo passed
