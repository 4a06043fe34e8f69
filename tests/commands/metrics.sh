#!/usr/bin/env bash
# Metrics: each one of the table shows up wherever metrics are written, printed, compared or waited for.
source "$(dirname "$0")/common.sh" "$@"
names=(perplexity token_perplexity accuracy exact_memorisation extraction_strength probability)
headings=(perplexity "per token" accuracy memorisation extraction probability)
forget=(unlearn --model base --tokens tokens.h5 --domain papers --method gradient_ascent --global-batch-size 6
        --lr-scheduler-type constant --quiet)

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 40 --learning-rate 4e-3 --output-dir base --quiet
  "$expunge" "${forget[@]}" --max-steps 2 --eval-steps 1 --learning-rate 1e-4 --log-jsonl log.jsonl --tensorboard on --output-dir run
  "$expunge" eval --model base --tokens tokens.h5 --domain papers --output before.h5 >before.txt 2>&1
  "$expunge" eval --model run --tokens tokens.h5 --domain papers --output run/eval.h5 --compare before.h5 >compared.txt 2>&1
}

# contains FILE TEXT...
contains() {
  local file=$1 text
  shift
  for text; do grep -qaF -- "$text" "$file" || die "$file lacks: $text"; done
}

case_files() {
  h5dump -A before.h5 >attributes.txt
  contains attributes.txt "${names[@]/#/ATTRIBUTE \"}"
  h5ls -r run/evaluations.h5 >columns.txt
  contains columns.txt "${names[@]/#//eval/papers/forget/}"
  tail -n 1 log.jsonl >line.txt
  contains line.txt "${names[@]/#/\"eval/papers/forget/}"
  cat run/tensorboard/* >events.txt
  contains events.txt "${names[@]/#/eval/papers/forget/}"
}

case_shown() {
  contains before.txt "${headings[@]}"
  contains compared.txt "${headings[@]}"
  "$expunge" inspect before.h5 >inspected.txt
  contains inspected.txt "${headings[@]}"
  "$expunge" inspect run/evaluations.h5 >inspected.txt
  contains inspected.txt "${headings[@]/#/papers/forget            }"
  "$expunge" report run --before before.h5 --output report.html --quiet
  for heading in Perplexity "Per token" Accuracy Memorisation Extraction Probability; do
    contains report.html "$heading before" "$heading after"
    contains report.md "$heading before" "$heading after"
  done
}

# Each ends a run between its first step and its last; the state that is kept meets the condition.
case_stop_at() {
  local condition metric steps
  for condition in "exact_memorisation <= 0.5" "extraction_strength <= 0.1" "probability <= 0.2" "accuracy <= forget:accuracy@start"; do
    rm -rf stopped
    "$expunge" "${forget[@]}" --max-steps 40 --eval-steps 1 --learning-rate 1e-3 --collapse-guard 0 --output-dir stopped \
      --stop-at "forget:$condition"
    steps=$(attribute stopped/checkpoints/step-*/checkpoint.h5 / step)
    ((steps < 40)) || die "forget:$condition never held"
    metric=${condition%% *}
    h5dump -d "/eval/papers/forget/$metric" stopped/evaluations.h5 >values.txt
    echo "ok: forget:$condition after $steps steps"
  done
  expect_exit 2 "METRIC one of perplexity, token_perplexity, accuracy, exact_memorisation, extraction_strength, probability" \
    "$expunge" "${forget[@]}" --eval-steps 1 --stop-at "forget:loss >= 3" --output-dir refused
}

run_case
