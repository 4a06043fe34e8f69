#!/usr/bin/env bash
# A rank that is stopped, in training and in evaluation: the job ends by itself after --collective-timeout, with exit code 6 and
# one message that names the rank. A rank that is killed ends the job within seconds; one that never starts, after the same timeout.
source "$(dirname "$0")/common.sh" "$@"

# start RANKS COMMAND...: in the background; log.txt.
start() {
  local n=$1
  shift
  : >log.txt  # the job empties it when it starts: until then wait_for would read the last one's
  mpirun -n "$n" --oversubscribe --bind-to none "$@" >log.txt 2>&1 &
  job=$!
}
# pids: of the job's ranks, in their order.
pids() { pgrep -P $job -x expunge; }
# ends CODE SECONDS: the job returns CODE within SECONDS from now.
ends() {
  local began=$(date +%s%N)
  job_ends "$1" "instead of $1"
  elapsed=$((($(date +%s%N) - began) / 1000000))
  ((elapsed < 1000 * $2)) || { cat log.txt >&2; die "ended after $elapsed ms"; }
}
one_message() {
  grep -qE "$1" log.txt || { cat log.txt >&2; die "no '$1'"; }
  [[ $(grep -c "expunge: error" log.txt) == 1 ]] || { cat log.txt >&2; die "more than one message"; }
}
wait_for() {
  for _ in $(seq 1200); do
    grep -q "$1" log.txt && return
    sleep 0.05
  done
  cat log.txt >&2
  die "no '$1' in 60 s"
}
run=("$expunge" "${train[@]}" --learning-rate 1e-3 --max-steps 100000 --collective-timeout 3)

set_up() {
  make_inputs
}

case_stopped_in_training() {
  for stopped in 1 0; do
    start 3 "${run[@]}" --output-dir "run$stopped"
    wait_for "train 3/"
    kill -STOP "$(pids | sed -n "$((stopped + 1))p")"
    ends 6 30
    one_message "error on rank [0-2] of 3: no progress in .* for [3-6] s .*: 1 of 3 ranks missing: rank $stopped \(host $(hostname)\)"
    echo "rank $stopped stopped: exit code 6 after $elapsed ms"
  done
}

case_killed() {
  start 2 "${run[@]}" --output-dir killed
  wait_for "train 3/"
  kill -9 "$(pids | tail -n 1)"
  ends 137 20
  echo "rank killed: exit code 137 after $elapsed ms"
}

# A process that never calls MPI stands for a rank that died before it could.
case_never_started() {
  start 1 "${run[@]}" --output-dir alone : -n 1 sleep 60
  ends 6 30
  one_message "error on rank 0: MPI did not connect the ranks within 3 s"
  [[ ! -e alone ]] || die "a run folder of a job that did not start"
  echo "rank that never starts: exit code 6 after $elapsed ms"
}

case_stopped_in_evaluation() {
  "$expunge" train --init-config init/config.json --tokens tokens.h5 --split papers/retain --global-batch-size 6 --max-steps 1 --quiet --output-dir model
  mkdir -p copies/papers
  head -n 2 texts/papers/retain.jsonl >copies/papers/first.jsonl
  for _ in $(seq 100); do cat texts/papers/retain.jsonl; done >copies/papers/second.jsonl
  "$expunge" tokenize --tokenizer init --data copies --output copies.h5 --max-length 64 --near-duplicate-threshold 0 --quiet 2>/dev/null
  start 2 "$expunge" eval --model model --tokens copies.h5 --domain papers --split first --split second --output eval.h5 --collective-timeout 2
  wait_for "papers/first: "
  kill -STOP "$(pids | tail -n 1)"
  ends 6 30
  one_message "1 of 2 ranks missing: rank 1"
  [[ ! -e eval.h5 ]] || die "half an evaluation"
  echo "evaluation, rank 1 stopped: exit code 6 after $elapsed ms"
}

run_case
