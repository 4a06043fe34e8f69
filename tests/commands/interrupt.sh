#!/usr/bin/env bash
# A signal to one rank ends the run of all after the step, with a checkpoint and exit code 75; the run goes on bitwise equal. A
# checkpoint that cannot be written leaves nothing behind.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --learning-rate 1e-3 --max-steps 400 --shuffle on)

# started LOG: waits until the run in the background has made a step.
started() {
  for _ in $(seq 600); do
    grep -q "train 3/400" "$1" && return
    sleep 0.05
  done
  cat "$1" >&2
  die "no step in 30 s"
}
steps() { h5dump -d /train/step -s "$(($2 - 1))" -c 1 "$1/metrics.h5" | sed -nE 's/^ *\([0-9]+\): (.*)$/\1/p'; }

# A step that does not end within the grace is dropped, and replayed by the resumed run: weights and losses are the same.
long=("$expunge" train --init-config init/config.json --tokens tokens.h5 --split papers/forget --split papers/retain
      --global-batch-size 1500 --learning-rate 1e-3 --max-steps 3)

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 1 --quiet --output-dir base
  "$expunge" export --checkpoint base --output-dir model --quiet
}

case_a_signal_to_one_rank() {
  ranks 2 "${run[@]}" --quiet --output-dir whole
  mpirun -n 2 --oversubscribe --bind-to none "${run[@]}" --output-dir interrupted 2>log.txt &
  job=$!
  started log.txt
  kill -USR1 "$(pgrep -P $job -x expunge | tail -n 1)"
  job_ends 75 "after SIGUSR1"
  grep -qE "SIGUSR1 came: the run ends after step [0-9]+ of 400, with a checkpoint" log.txt || { cat log.txt >&2; die "no word of it"; }
  ! grep -q "error" log.txt || die "an interruption is no error"
  last=$(ls interrupted/checkpoints | sed -E 's/step-0*//')
  ((last < 400)) || die "the run had ended already"
  [[ $(steps interrupted "$last") == "$last" ]] || die "metrics and checkpoint are of different steps"
  ranks 2 "${run[@]}" --output-dir interrupted --quiet
  same_parameters whole/checkpoints/step-000400 interrupted/checkpoints/step-000400 || die "the resumed weights differ"
  h5diff whole/metrics.h5 interrupted/metrics.h5 /train/loss || die "the resumed losses differ"
}

# One process; also by SIGTERM, and quiet.
case_a_signal_to_one_process() {
  "${run[@]}" --output-dir alone 2>log.txt &
  job=$!
  started log.txt
  kill -TERM $job
  job_ends 75 "after SIGTERM"
}

case_a_dropped_step_and_a_time_limit() {
  began=$(date +%s%N)
  ranks 2 "${long[@]}" --quiet --output-dir long
  milliseconds=$((($(date +%s%N) - began) / 1000000))
  mpirun -n 2 --oversubscribe --bind-to none "${long[@]}" --grace-seconds 0 --output-dir dropped 2>log.txt &
  job=$!
  for _ in $(seq 600); do
    grep -q "train 1/3" log.txt && break
    sleep 0.05
  done
  kill -USR1 "$(pgrep -P $job -x expunge | tail -n 1)"
  job_ends 75 "with --grace-seconds 0"
  grep -qE "SIGUSR1 came: the run ends after step [12] of 3, with a checkpoint, and drops the unfinished step" log.txt ||
    { cat log.txt >&2; die "no word of a dropped step"; }
  ranks 2 "${long[@]}" --quiet --output-dir dropped
  same_parameters long/checkpoints/step-000003 dropped/checkpoints/step-000003 || die "weights after a dropped step differ"
  h5diff long/metrics.h5 dropped/metrics.h5 /train/loss || die "losses after a dropped step differ"

  # A time limit, here of a good half of the run: it ends by itself before it, as often as needed. The same command goes on. Where
  # the machine has become so much faster meanwhile that all steps fit, the limit is made shorter.
  limit=$((milliseconds * 6 / 10 + 1000))
  for ((tries = 0, starts = 1; starts == 1 && tries < 5; ++tries, limit = limit * 2 / 3)); do
    rm -rf limited
    for ((starts = 0, code = 75; code == 75 && starts < 20; ++starts)); do
      code=0
      ranks 2 "${long[@]}" --max-walltime "$((limit / 1000)).$(printf %03d $((limit % 1000)))" --output-dir limited 2>log.txt || code=$?
      [[ $code == 0 || $code == 75 ]] || { cat log.txt >&2; die "exit $code with --max-walltime"; }
      [[ $code == 0 ]] || grep -q -- "--max-walltime is near: the run ends" log.txt || { cat log.txt >&2; die "no word of it"; }
    done
  done
  ((code == 0 && starts > 1)) || die "$starts starts, exit $code"
  same_parameters long/checkpoints/step-000003 limited/checkpoints/step-000003 || die "weights of $starts starts differ"
}

# A signal delivered twice at once is one; another one ends the process where it is.
case_two_signals() {
  "${run[@]}" --output-dir twice 2>log.txt &
  job=$!
  started log.txt
  kill -TERM $job
  kill -TERM $job
  job_ends 75 "after a signal that came twice"
  "$expunge" train --init-config init/config.json --tokens tokens.h5 --split papers/forget --global-batch-size 100000 --max-steps 2 \
    --grace-seconds 10:00:00 --output-dir second 2>log.txt &
  job=$!
  for _ in $(seq 600); do
    [[ -e second/metrics.h5 ]] && break
    sleep 0.05
  done
  kill -USR1 $job
  sleep 1.2
  kill -USR1 $job
  job_ends 138 "after a second signal"
  grep -q "received SIGUSR1: the run stops at the next resumable point" log.txt && grep -q "received a second signal: ending at once" log.txt ||
    { cat log.txt >&2; die "signals are not told of when they come"; }
}

# Before the first step there is nothing to go on from: the pass of the original model ends, and leaves nothing.
case_before_the_first_step() {
  unlearn=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --global-batch-size 6 --max-steps 1)
  for method in "npo --retain-repeat" "random_label --top-k 1 --rm-groundtruth"; do
    # shellcheck disable=SC2206  # the method and its options are words
    early=("${unlearn[@]}" --method $method --output-dir early)
    expect_exit 75 "--max-walltime is near: the run ends before its first step" ranks 2 "${early[@]}" --max-walltime 0.1
    [[ -z $(find early -name '*.h5' -o -name 'step-*') ]] || die "a pass that was cut short left something"
    ranks 2 "${early[@]}" --quiet
    rm -r early
  done
}

# Nor while the inputs are read and hashed: a start that takes longer than the grace ends, and leaves nothing.
case_while_inputs_are_read() {
  cp tokens.h5 large.h5
  truncate -s 200G large.h5 # a hole, which takes a minute to hash
  slow=("$expunge" "${train[@]/tokens.h5/large.h5}" --max-steps 2 --grace-seconds 1 --output-dir slow)
  for launch in "" "mpirun -n 2 --oversubscribe --bind-to none"; do
    # shellcheck disable=SC2086
    $launch "${slow[@]}" 2>log.txt &
    job=$!
    for _ in $(seq 600); do
      for rank in $job $(pgrep -P $job -x expunge || true); do
        caught=$(awk '/^SigCgt/ { print $2 }' "/proc/$rank/status")
        [[ $(cat /proc/$rank/comm) != expunge ]] || (((0x$caught >> 9 & 1) == 0)) || break 2 # SIGUSR1 is caught
      done
      sleep 0.05
    done
    kill -USR1 "$rank"
    job_ends 75 "after a signal to a start: $launch"
    grep -q "SIGUSR1 came: the run ends before its first step, while it reads its inputs" log.txt || { cat log.txt >&2; die "no word of it"; }
    [[ ! -e slow ]] || die "a start that was ended left a folder"
  done
  rm large.h5
}

# No room for a checkpoint: files are limited in size on both ranks, then on one only. SIGXFSZ is ignored, so a write fails.
case_no_room_for_a_checkpoint() {
  expect_exit 4 "checkpoint of step 2 was not written: .*there is no earlier one" ranks 2 bash -c \
    'trap "" XFSZ; ulimit -f 260; exec "$@"' bash "${run[@]:0:1}" "${train[@]}" --max-steps 2 --output-dir full
  [[ -z $(ls -A full/checkpoints) ]] || die "left behind: $(ls -A full/checkpoints)"
  expect_exit 4 "checkpoint of step 2 was not written: rank 1" ranks 2 bash -c \
    'trap "" XFSZ; [[ $OMPI_COMM_WORLD_RANK == 0 ]] || ulimit -f 260; exec "$@"' bash "$expunge" "${train[@]}" --max-steps 2 \
    --output-dir half --overwrite-output-dir
  [[ -z $(ls -A half/checkpoints) ]] || die "left behind: $(ls -A half/checkpoints)"
}

# What is allowed and hardly meant, and what makes no sense at all.
case_odd_options_and_changed_models() {
  expect_exit 0 "the learning rate is 0 in each of the 1 step" "$expunge" "${train[@]}" --max-steps 1 --warmup-steps 1 --output-dir zero
  grep -q "no weight moved" out.txt || die "no word of weights that did not move"
  expect_exit 0 "--micro-batch-tokens 3 is less than the longest sequence, 64" "$expunge" "${train[@]}" --max-steps 1 \
    --micro-batch-tokens 3 --output-dir narrow
  unlearn=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method gradient_ascent --global-batch-size 6
           --save-steps 1 --max-steps 2 --output-dir unlearned)
  "${unlearn[@]}" --quiet
  rm -r unlearned/checkpoints/step-000002
  cp model/model.safetensors good
  printf '\x40' | dd of=model/model.safetensors bs=1 seek=$(($(stat -c %s good) - 1)) conv=notrunc status=none
  expect_exit 3 "the original model changed since the run began" ranks 2 "${unlearn[@]}"
  printf '\xff\xff\xff\x7f' | dd of=model/model.safetensors bs=1 seek=$(($(stat -c %s good) - 4)) conv=notrunc status=none
  expect_exit 5 "step 1: loss .*the model is as it was given" ranks 2 "${unlearn[@]}" --overwrite-output-dir
}

run_case
