#!/usr/bin/env bash
# Stopping after a step and starting again gives the run that was never stopped.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --max-steps 6 --save-steps 2 --logging-steps 100)
rate=(--learning-rate 3e-3)

# A run, and the same stopped after step 4.
stopped_run() {
  ranks 2 "${run[@]}" "${rate[@]}" --output-dir whole --log-jsonl log.jsonl
  # Stopped after step 4, while step 6 was being written: its checkpoint is torn, metrics go further than the checkpoint.
  cp -r whole stopped
  rm stopped/checkpoints/step-000006/manifest.json
  mkdir stopped/checkpoints/.writing-step-000008
}

set_up() {
  make_inputs
  stopped_run
}

case_on_as_many_ranks_and_others() {
  for n in 2 3; do
    rm -rf again
    cp -r stopped again
    ranks $n "${run[@]}" "${rate[@]}" --output-dir again
    steps=$(h5dump -d /train/step again/metrics.h5 | sed -nE 's/^ *\(0\): (.*)$/\1/p')
    [[ $steps == "1, 2, 3, 4, 5, 6" ]] || die "steps are $steps"
    [[ ! -e again/checkpoints/.writing-step-000008 ]] || die "a leftover stays"
    if [[ $n == 2 ]]; then
      same_parameters whole/checkpoints/step-000006 again/checkpoints/step-000006 || die "the resumed weights differ"
      h5diff whole/metrics.h5 again/metrics.h5 /train/loss || die "the resumed losses differ"
    else
      # Another world size adds in another order.
      h5diff -d 2e-4 whole/checkpoints/step-000006/checkpoint.h5 again/checkpoints/step-000006/checkpoint.h5 /parameters ||
        die "weights of three ranks differ"
      h5diff -p 1e-4 whole/metrics.h5 again/metrics.h5 /train/loss || die "losses of three ranks differ"
    fi
  done
  ! same_parameters whole/checkpoints/step-000006 whole/checkpoints/step-000004 >/dev/null || die "no step was taken"
  # On any other number of ranks: the same losses, but for the order of additions.
  for n in 1 4; do
    rm -rf again
    cp -r stopped again
    ranks $n "${run[@]}" "${rate[@]}" --output-dir again --quiet
    h5diff -p 1e-4 whole/metrics.h5 again/metrics.h5 /train/loss || die "losses of $n ranks differ"
    h5diff whole/metrics.h5 again/metrics.h5 /train/tokens || die "$n ranks saw other sequences"
  done
}

# A batch that follows the number of ranks: the message says how to go on.
case_a_batch_that_follows_the_ranks() {
  "$expunge" "${train[@]/--global-batch-size/--gradient-accumulation-steps}" --max-steps 1 --quiet --output-dir follows
  expect_exit 2 "global-batch-size = 6, now 12 .*give --global-batch-size 6" ranks 2 "$expunge" \
    "${train[@]/--global-batch-size/--gradient-accumulation-steps}" --max-steps 1 --output-dir follows
  : >follows/config
  expect_exit 2 "if the file was damaged: .expunge inspect follows/checkpoints/step-000001. prints" "$expunge" \
    "${train[@]/--global-batch-size/--gradient-accumulation-steps}" --max-steps 1 --output-dir follows
}

# Torn files of a run whose writer died are put back or passed over, each with one warning, and the end is the same.
case_torn_files() {
  # A run knows its log by its place.
  rm -r whole stopped log.jsonl
  stopped_run
  rm -rf again
  cp -r stopped again
  truncate -s 1000 again/metrics.h5
  printf x | dd of=again/checkpoints/step-000004/checkpoint.h5 bs=1 seek=3000 conv=notrunc status=none
  printf '{"step":1' >log.jsonl
  expect_exit 0 "metrics.h5: damaged .* put back from .*step-000002/metrics.h5" ranks 2 "${run[@]}" "${rate[@]}" --output-dir again \
    --log-jsonl log.jsonl
  [[ $(grep -c "warning" out.txt) == 3 ]] || { cat out.txt >&2; die "more than one warning a damaged file"; }
  same_parameters whole/checkpoints/step-000006 again/checkpoints/step-000006 || die "weights after damage differ"
  h5diff whole/metrics.h5 again/metrics.h5 /train/loss || die "losses after damage differ"
}

case_finished_and_damaged() {
  expect_exit 0 "finished already" ranks 2 "${run[@]}" "${rate[@]}" --output-dir whole
  expect_exit 2 "learning-rate" ranks 2 "${run[@]}" --output-dir whole --learning-rate 1e-4
  expect_exit 4 "not empty" ranks 2 "${run[@]}" "${rate[@]}" --output-dir whole --resume-from-checkpoint none
  # A damaged newest checkpoint is passed over with a warning.
  printf x | dd of=whole/checkpoints/step-000006/shard-00001-of-00002.h5 bs=1 seek=5000 conv=notrunc status=none
  expect_exit 0 "skipped .*step-000006" ranks 2 "${run[@]}" "${rate[@]}" --output-dir whole
  # It counts as none: a limit of one would keep it, and remove the good one that the next start writes.
  [[ -e whole/checkpoints/damaged-step-000006 ]] || die "the damaged checkpoint is gone"
  rm -rf lone
  ranks 2 "${run[@]}" "${rate[@]}" --output-dir lone --save-total-limit 1 --quiet
  printf x | dd of=lone/checkpoints/step-000006/shard-00001-of-00002.h5 bs=1 seek=5000 conv=notrunc status=none
  expect_exit 75 "no good checkpoint is left; the run begins again at its first step" ranks 2 "${run[@]}" "${rate[@]}" \
    --output-dir lone --save-total-limit 1 --max-walltime 0.1
  grep -q "no step fitted into --max-walltime since this start" out.txt || { cat out.txt >&2; die "no word of a limit that never suffices"; }
  ! grep -q "SIGTERM" out.txt || { cat out.txt >&2; die "a signal that never came"; }
  [[ $(ls lone/checkpoints | xargs) == "damaged-step-000006 step-000000" ]] || { ls lone/checkpoints; die "the good checkpoint is gone"; }
  ranks 2 "${run[@]}" "${rate[@]}" --output-dir whole --overwrite-output-dir --save-total-limit 1
  [[ $(ls whole/checkpoints) == step-000006 ]] || die "save-total-limit"
}

# From a checkpoint named by its path, into another folder, which takes the metrics until then along.
case_from_a_checkpoint_by_its_path() {
  expect_exit 0 "continuing after step 2" ranks 2 "${run[@]}" "${rate[@]}" --output-dir other \
    --resume-from-checkpoint stopped/checkpoints/step-000002
  ! grep warning out.txt || die "a warning where nothing is wrong"
  h5diff whole/metrics.h5 other/metrics.h5 /train/step || die "steps are lost"
  same_parameters whole/checkpoints/step-000006 other/checkpoints/step-000006 || die "resumed from a path, weights differ"
}

# An order that is too short for the run is gone through again, and said to be.
case_an_order_that_is_too_short() {
  seq 0 11 >order.txt
  expect_exit 0 "" "$expunge" "${train[@]}" --max-steps 2 --sample-order order.txt --output-dir ordered
  ! grep -q "sample-order" out.txt || die "a warning of an order that is long enough"
  expect_exit 0 "warning: --sample-order order.txt: the run takes 18 sequences, but the file has 12 sequence numbers: the order repeats from its top" \
    "$expunge" "${train[@]}" --max-steps 3 --sample-order order.txt --output-dir ordered-3
}

# On a terminal a line of the log takes the place of the bar.
case_on_a_terminal() {
  script -qec "'$expunge' ${train[*]} --max-steps 2 --eval-steps 1 --eval-split papers/forget --output-dir terminal" /dev/null >out.txt
  grep -q $'train \\[####*-*\\] 1/2 | .* left | loss [^\r]*\r\033\\[K.*step 1: perplexity' out.txt || { cat -v out.txt; die "the bar and the log share a line"; }
}

run_case
