#!/usr/bin/env bash
# The report of runs in every state: evaluated, bare, unfinished, of hostile names; and the logs beside metrics.h5.
source "$(dirname "$0")/common.sh" "$@"

quiet=(--quiet)

unlearn=("$expunge" unlearn --model base --tokens tokens.h5 --domain papers --method gradient_ascent --lr-scheduler-type constant
         --max-steps 4 --global-batch-size 6)
evaluate=("$expunge" eval --tokens tokens.h5 --domain papers "${quiet[@]}")
report=("$expunge" report "${quiet[@]}")
further=("$expunge" unlearn --tokens tokens.h5 --domain papers --lr-scheduler-type constant --global-batch-size 6 "${quiet[@]}")
# What a run is called that names no --output-dir.
run=output/papers/base/2_rank_bs_1_gas_3_lr_2.0e_3_epoch1/unlearn/gradient_ascent
task() { printf '%.2f' "$(awk "BEGIN { print 100 * $(attribute "$1" /hellaswag accuracy) }")"; }
rounded() { printf '%.4g' "$(attribute "$@")"; }

not_compared() { # FILE DIFFERENCE...: both values are shown, and nothing that follows from both
  grep -q "before and after are shown and not compared" "$1" && ! grep -q "Distance to approximate retraining" "$1" &&
    ! grep -q "original model has not been evaluated" "$1" && grep -qE "<td[^>]*>not compared" "$1" || die "$1"
  local difference
  for difference in "${@:2}"; do grep -q -- "$difference" "$1" || die "$1 lacks: $difference"; done
}

# A run from the model of the second, and its export.
third_run() {
  "$expunge" unlearn --model second --tokens tokens.h5 --domain papers --method grad_diff --max-steps 1 "${quiet[@]}" --output-dir third
  "$expunge" export --checkpoint third --output-dir exported 2>/dev/null
}
says() { # PAGE TEXT...: its Markdown says each, whatever stands escaped there
  local text
  for text in "${@:2}"; do sed 's/\\//g; s/&gt;/>/g' "$1" | grep -F -- "$text" >/dev/null || die "$1 lacks: $text"; done
}
mute() { ! sed 's/\\//g; s/&gt;/>/g' "$1" | grep -F -- "$2" || die "$1 says: $2"; }

set_up() {
  make_inputs
  ranks 2 "$expunge" "${train[@]}" "${quiet[@]}" --learning-rate 1e-2 --max-steps 60 --output-dir base
  logs=(--learning-rate 2e-3 --log-jsonl log.jsonl --tensorboard on)
  ranks 2 "${unlearn[@]}" "${logs[@]}" --save-steps 2 2>named.txt
  rm "$run/checkpoints/step-000004/manifest.json"
  ranks 2 "${unlearn[@]}" "${logs[@]}" "${quiet[@]}"

  # A run with evaluations, beside one that has none and one that is unfinished.
  "${evaluate[@]}" --model base --output before.h5 >/dev/null
  "${evaluate[@]}" --model "$run" --output "$run/eval.h5" >/dev/null
  ranks 2 "${unlearn[@]}" "${quiet[@]}" --learning-rate 1e-3 --output-dir second
  "${evaluate[@]}" --model second --output second/eval.h5 >/dev/null
  cp -r second bare && rm bare/eval.h5
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --save-steps 1 --output-dir unfinished
  rm -r unfinished/checkpoints/step-00000[34]
  # What tasks said of the original model and of one run.
  for i in 1 2 3; do echo '{"ctx": "We study", "endings": ["a method", "the x"], "label": 0}'; done >tasks.jsonl
  "$expunge" task --model base --tasks tasks.jsonl --output task-before.h5 --quiet >/dev/null
  "$expunge" task --model "$run" --tasks tasks.jsonl --output "$run/task.h5" --quiet >/dev/null
}

# Without --output-dir the run is named after its settings, and the log says so. Logs go on over a resume.
case_names_and_logs() {
  [[ -f $run/config ]] || { find output; die "the run is not at $run"; }
  grep -q "run folder $run" named.txt || die "the log does not say $run"
  [[ $(jq -c .step log.jsonl | tr '\n' ' ') == "1 2 3 4 " ]] || die "steps of the log: $(jq -c .step log.jsonl)"
  # The two are sums of the same numbers in different order: the last bit may differ.
  [[ $(jq -s '(.[3].loss + .[3].loss_forget | fabs) < 1e-14 and .[3].loss_retain == null' log.jsonl) == true ]] || die "figures of the log"
  [[ $(ls "$run"/tensorboard/events.out.tfevents.* | wc -l) == 2 ]] || die "event files"
}

case_several_runs() {
  "${report[@]}" "$run/" second bare unfinished base --before before.h5 --before task-before.h5 --output report.html \
    --pretraining-tokens 1e9
  hash=$(h5dump -a /model_sha256 before.h5 | grep -oE '[0-9a-f]{64}')
  for text in "$hash" "$(rounded before.h5 /papers/forget perplexity)" "$(rounded "$run/eval.h5" /papers/forget perplexity)" \
      "$(rounded before.h5 /papers/approximate perplexity)" "times less than retraining" "Pareto" "step 2 of 4" "step-000004" \
      "expunge mia --model" "The run's model has not been evaluated" \
      "it had nothing to forget" "Jin Yao" "$(task task-before.h5) ± 0.00 %" "$(task "$run/task.h5") ± 0.00 %" \
      "$(printf '%.2f %%' "$(awk "BEGIN { print 100 * $(attribute "$run/eval.h5" /papers/forget extraction_strength) }")")"; do
    for page in report.html report.md; do
      sed 's/&#39;/'"'"'/g; s/\\//g; s/<wbr>//g' "$page" | grep -- "$text" >/dev/null || die "$page lacks: $text"
    done
  done
  # 6 x parameters x tokens, the parameters counted from the checkpoint's shapes.
  tokens=$(jq -s 'map(.tokens) | add' log.jsonl)
  parameters=$(h5dump -H -g /parameters "$run/checkpoints/step-000004/checkpoint.h5" |
    sed -nE 's/.*SIMPLE \{ \( ([0-9, ]+) \) .*/\1/p' | awk -F, '{ n += $1 * (NF > 1 ? $2 : 1) } END { print n }')
  flops=$(awk "BEGIN { printf \"%.3g\", 6 * $parameters * $tokens }")
  grep -qF "$flops FLOP = 6 x" report.html || die "expected $flops FLOP"
  # The page stands alone.
  ! grep -qE 'https?://|<script|<link|@import|src=|url\(http' report.html || die "the page refers to something elsewhere"
  ids=$(grep -oE " id=['\"][^'\"]+" report.html | sort | uniq -d)
  [[ -z $ids ]] || die "ids that stand twice: $ids"
  if command -v gnuplot >/dev/null; then
    grep -q "<svg" report.html || die "no plots"
    for figure in front loss-R1 perplexity-R1; do
      [[ -s report-figures/$figure.svg ]] || die "no figure $figure"
      grep -q "report-figures/$figure.svg" report.md || die "report.md does not show $figure"
    done
  fi
  if command -v xmllint >/dev/null; then
    # xmllint knows the elements of HTML 4 only.
    ! xmllint --html --noout --nodefdtd report.html 2>&1 | grep -v "Tag [a-zA-Z]* invalid" | grep "error" || die "report.html is not well-formed"
    [[ ! -d report-figures ]] || xmllint --noout report-figures/*.svg || die "a figure is not well-formed"
  fi

  # Two runs at one place of the plot have their names at two sides of it.
  "${report[@]}" "$run" second second --before before.h5 --output twice.html
  ! command -v gnuplot >/dev/null || [[ $(grep -oE '>R[0-9]<' twice-figures/front.svg | sort | tr -d '\n') == ">R1<>R2<>R3<" ]] ||
    die "names in the plot of the front"
}

# An evaluation of other sequences is no missing one.
case_evaluations_that_differ() {
  "${evaluate[@]}" --model base --max-eval-samples 2 --output before-2.h5 >/dev/null
  "${report[@]}" second --before before-2.h5 --output unlike.html
  before=$(rounded before-2.h5 /papers/forget perplexity)
  not_compared unlike.html "sequences of papers/forget 2 and" ">$before<" ">$(rounded second/eval.h5 /papers/forget perplexity)<"
  "${evaluate[@]}" --model base --dtype bfloat16 --output before-bf16.h5 >/dev/null
  "${report[@]}" second --before before-bf16.h5 --output dtypes.html
  not_compared dtypes.html "dtype bfloat16 and float32"
  "$expunge" tokenize --tokenizer init --data texts --max-length 48 --output tokens-48.h5 >/dev/null
  "$expunge" eval --model base --tokens tokens-48.h5 --domain papers --output before-48.h5 --quiet >/dev/null
  "${report[@]}" second --before before-48.h5 --output lengths.html
  not_compared lengths.html "tokens_sha256 [0-9a-f]*... and" "max_length 48 and 64"
  "${evaluate[@]}" --model base --output same.h5 --compare before-48.h5 2>same.log >/dev/null
  grep -q "before-48.h5: these metrics were computed under other conditions; do not compare them: .*max_length 48 and 64" same.log ||
    die "eval --compare"
  # Of several evaluations of one model, that which compares.
  "${report[@]}" second --before before-bf16.h5 --before before.h5 --before before-2.h5 --output several.html
  says several.md "before-bf16.h5 is not used: before.h5 has the conditions of second/eval.h5." "before-2.h5 is not used" "its perplexity went from"
}

# What a file of an earlier version does not say is marked, and keeps nothing from being compared.
case_an_earlier_version() {
  mkdir former && tar -C former -xf "$root/tests/fixtures/former_run/former_run.tar.xz"
  "$expunge" report former/run --after former/eval.h5 --output former.html --quiet 2>/dev/null
  grep -qE "device.*unknown" former.html || die "former.html"
  "$expunge" eval --model former/run --tokens former/tokens.h5 --domain papers --output again.h5 --quiet --compare former/eval.h5 \
    >again.txt 2>again.log
  grep -q "former/eval.h5: device is unknown, so these metrics may not be comparable" again.log && ! grep -q "computed under other conditions" again.log || die "again.log"
  grep -q "device  *unknown" <("$expunge" inspect former/eval.h5) || die "inspect"
}

# A run that evaluated itself needs no other evaluation. That it did not come to what it was to reach is said by both.
case_evaluated_inside_the_run() {
  expect_exit 0 'stop-at "forget:perplexity >= 1e9" was not reached in 4 steps: papers/forget perplexity is [0-9.]+, to be at least 1e\+09' \
    "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --eval-steps 2 --stop-at "forget:perplexity >= 1e9" --output-dir inside
  "${report[@]}" inside --output inside.html
  for text in "was not reached in 4 steps: papers/forget perplexity is" "$(rounded before.h5 /papers/forget perplexity)" "Distance to approximate retraining" "as evaluated inside the run"; do
    grep -q -- "$text" inside.html || { [[ $text == as* ]] && ! command -v gnuplot >/dev/null; } || die "inside.html lacks: $text"
  done
  # One that looked at the first sequences only does need it, and the page says why.
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --eval-steps 2 --max-eval-samples 2 --max-train-samples 5 --output-dir partly
  "${report[@]}" partly --output partly.html
  grep -q "12 documents, .* the run trained on 5 of the sequences, 320 tokens" partly.html || die "what was trained on"
  grep -q "of the first 2 sequences of each split only" partly.html && grep -q "model has not been evaluated" partly.html ||
    die "partly.html"
}

# A chain of runs is told back to the original model, and a changed model before is called one.
case_chains() {
  "${further[@]}" --model second --method grad_diff --max-steps 1 --output-dir chained
  "${further[@]}" --model base --method grad_diff --max-steps 5 --resume-from-checkpoint second/checkpoints/step-000004 --output-dir adopted
  for model in chained adopted; do "${evaluate[@]}" --model $model --output $model/eval.h5 >/dev/null; done
  after="4 steps of gradient_ascent on papers"
  goal() { printf 'The goal is %s, the perplexity of %s model on papers/approximate' "$(rounded "$1" /papers/approximate perplexity)" "$2"; }
  "${report[@]}" chained adopted --before before.h5 --before second/eval.h5 --output chain.html
  says chain.md "R1: papers/forget should be forgotten by grad_diff, after $after (see Before); its" "$(goal before.h5 'the original')" \
    "R2: papers/forget should be forgotten by grad_diff, after $after (see Before); its" "(own steps) |" \
    "second/eval.h5 is not used: before.h5 is of the original model." "| Steps of this run | 5 |" "| Steps | 5 of 5, 6 sequences a step |" \
    "| Before | steps 1 to 4 by gradient_ascent on papers, " "| grad_diff, after gradient_ascent |" "| Began from | $PWD/second |"
  "${report[@]}" chained --before second/eval.h5 --output changed.html
  says changed.md "Before is the model that this run began from, already changed by $after. $(goal second/eval.h5 that)" "(of a changed model) |"
  third_run
  "${further[@]}" --model exported --method npo --max-steps 1 --output-dir fourth
  for before in before.h5 second/eval.h5; do "${report[@]}" fourth --before $before --output fourth.html --overwrite; done
}

# Figures of another model or of other texts are shown and enter nothing; an export is the run's model.
case_figures_of_other_models() {
  third_run
  "${evaluate[@]}" --model exported --output exported.h5 >/dev/null
  "${report[@]}" third --before before.h5 --after exported.h5 --output exported.html
  mute exported.md "not compared:"
  "${evaluate[@]}" --model "$run/checkpoints/step-000002" --output step-2.h5 >/dev/null
  "${report[@]}" "$run" --before before.h5 --after step-2.h5 --output older.html
  not_compared older.html "step-2.h5 is of step-000002, not of the newest checkpoint, step-000004" ">$(rounded step-2.h5 /papers/forget perplexity) (step-000002)<"
  says older.md "$run/eval.h5 is not used: step-2.h5 is given by --after."
  "${report[@]}" second --before before.h5 --after "$run/eval.h5" --output foreign.html
  not_compared foreign.html "eval.h5 is of another model (.*), not of the newest checkpoint, step-000004"
  cp -r second misplaced && cp exported.h5 misplaced/eval-before.h5
  "${report[@]}" misplaced --output misplaced.html
  not_compared misplaced.html "eval-before.h5 is of another model (.*), not one that this run came from"
  infer=("$expunge" mia --model second --tokens tokens.h5 --domain papers "${quiet[@]}" --max-eval-samples 20)
  "${infer[@]}" --output mia.h5 >/dev/null 2>&1
  "${infer[@]}" --members retain --non-members general/evaluation --output mia-other.h5 >/dev/null 2>&1
  "${report[@]}" second --before before.h5 --after mia.h5 --output own.html
  says own.md "Members: 20 sequences of papers/forget. Non-members: 20 sequences of papers/approximate." "with fewer than 30 per side"
  mute own.md "other texts |"
  "${report[@]}" second --before before.h5 --after mia-other.h5 --output texts.html
  says texts.md "| other texts |" "Members: 20 sequences of papers/retain. Non-members: 20 sequences of general/evaluation."
  "${report[@]}" bare --before before.h5 --after mia.h5 --output unlike.html --overwrite
  "${report[@]}" "$run" --before before.h5 --after mia.h5 --output unlike.html --overwrite
  says unlike.md "| another model |"
}

# Options are those of the checkpoint, and text that the retain split of --general shares is looked for.
case_options_and_shared_texts() {
  cp texts/general/evaluation.jsonl texts/general/retain.jsonl
  "$expunge" tokenize --tokenizer init --data texts --output general.h5 --max-length 64 "${quiet[@]}"
  "$expunge" unlearn --model base --tokens general.h5 --domain papers --method ascent_plus_descent --general true --max-steps 2 --save-steps 1 \
    --global-batch-size 1 "${quiet[@]}" --output-dir general
  sed -i 's/^method = .*/method = npo/; s/^learning-rate = .*/learning-rate = 7/; /^seed/d; s/^save-steps = .*/save-steps = 9/' general/config
  rm -r general/checkpoints/step-000002
  "${report[@]}" general --output general.html
  says general.md "method = ascent_plus_descent, in the file npo; learning-rate = 2e-05, in the file 7; seed = 42, in the file (not set)." \
    "| general/retain | general/evaluation | 12 | 12 |" "(unfinished, step 1 of 2)" "Checked splits: general/retain, papers/approximate" \
    "1 of 2, 1 sequence a step, 1 sequence in all"
  mute general.md "None was found"
  mute general.md "save-steps = 9"
  # A token file that is another one now is in no command.
  cp tokens.h5 general.h5
  "${report[@]}" general --output general.html --overwrite
  says general.md "general.h5 is not the one that the run used" "--tokens TOKENS --domain papers"
  mute general.md "--tokens $PWD/general.h5"
  rm -r general/checkpoints/step-000001
  "${report[@]}" general --output general.html --overwrite
  says general.md "(it has no checkpoint yet): papers/forget should be forgotten"
}

# A condition that held: after which step, and which state is kept.
case_a_condition_that_held() {
  half=$(awk "BEGIN { print ($(rounded before.h5 /papers/forget perplexity) + $(rounded second/eval.h5 /papers/forget perplexity)) / 2 }")
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --learning-rate 1e-3 --eval-steps 1 --stop-at "forget:perplexity >= $half" --output-dir reached
  kept=$(basename reached/checkpoints/step-*) && kept=$((10#${kept#step-}))
  held=$(h5dump -d /eval/step reached/evaluations.h5 | sed -nE 's/^ *\(0\): .*[^0-9]([0-9]+)$/\1/p')
  ((kept > 0)) || die "the condition held before the first step"
  "${report[@]}" reached --output reached.html
  says reached.md "\"forget:perplexity >= $half\" held after step $held (" "The run ended there and keeps the state of step $kept, "
}

# Without gnuplot: no plots, and a warning that names the package.
case_without_gnuplot() {
  expect_exit 0 "gnuplot-nox" env PATH=/nonexistent "$expunge" report second --before before.h5 --output plain.html
  [[ ! -e plain-figures ]] && ! grep -q "<svg" plain.html && grep -q gnuplot-nox plain.html || die "plain.html"
  "${report[@]}" bare --before before.h5 --after second/eval.h5 --output one.html --title 'A & B'
  grep -q '<title>A &amp; B</title>' one.html || die "title"
}

# What was measured before a run began afresh is not about the run.
case_begun_afresh() {
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --output-dir afresh
  "$expunge" eval --model afresh --tokens tokens.h5 --domain papers --output afresh/eval.h5 "${quiet[@]}" >/dev/null
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --output-dir afresh --overwrite-output-dir --learning-rate 1e-5
  "${report[@]}" afresh --output afresh.html
  grep -q "afresh/eval.h5 is about a state of this run that is gone" afresh.md || die "an outdated evaluation was taken for the run's"
}

# What cannot be read is said once, and nothing is said of it that is not known.
case_unreadable() {
  cp -r second unreadable && head -c 3000 second/checkpoints/step-000004/checkpoint.h5 >unreadable/checkpoints/step-000004/checkpoint.h5
  "${report[@]}" unreadable --before before.h5 --output unreadable.html
  grep -q "Checkpoint step-000004 cannot be read" unreadable.md && grep -q "No checkpoint of the run can be read" unreadable.md &&
    ! grep -q "no checkpoint yet" unreadable.md || die "unreadable.md"
  # A checkpoint without a manifest is not one.
  "$expunge" "${unlearn[@]:1}" "${quiet[@]}" --save-steps 2 --output-dir torn
  rm torn/checkpoints/step-000004/manifest.json
  "${report[@]}" torn --before before.h5 --output torn.html
  grep -q "Checkpoint step-000004 cannot be read.*manifest.json" torn.md && grep -q "unfinished, step 2 of 4" torn.md || die "torn.md"
}

# Names that would be markup.
case_names_that_would_be_markup() {
  evil='<img src=x onerror=alert(1)>&"|`id`'
  mkdir -p "evil/$evil" && cp texts/papers/*.jsonl "evil/$evil/"
  "$expunge" tokenize --tokenizer init --data evil --output evil.h5 --max-length 64 "${quiet[@]}"
  "$expunge" unlearn --model base --tokens evil.h5 --domain "$evil" --method gradient_ascent --max-steps 1 "${quiet[@]}" --output-dir evil-run
  "$expunge" eval --model evil-run --tokens evil.h5 --domain "$evil" --output evil-run/eval.h5 "${quiet[@]}" >/dev/null
  "${report[@]}" evil-run --output evil.html
  ! grep -q '<img' evil.html && grep -q '&lt;img' evil.html || die "evil.html"
  quoted=$(sed -nE 's/^> No membership.*--domain (.*) --output.*/\1/p' evil.md | sed 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g; s/\\//g')
  [[ $quoted == "'$evil'" ]] || die "the command for a hostile name is not quoted: $quoted"
  ! grep -vE '^    ' evil.md | grep -qE '<img|[^\\]`' || die "evil.md"
}

# Bad input.
case_bad_input() {
  expect_exit 3 "not a run folder" "${report[@]}" texts --output x.html
  expect_exit 3 "not a folder" "${report[@]}" nowhere --output x.html
  head -c 2000 second/eval.h5 >bare/eval.h5
  expect_exit 3 "bare/eval.h5" "${report[@]}" bare --output x.html
  for option in --before --after; do
    expect_exit 3 "tokens.h5: expected results of expunge eval, mia or task" "${report[@]}" second $option tokens.h5 --output x.html
  done
  expect_exit 2 "no run began from" "${report[@]}" second --before second/eval.h5 --output x.html
  expect_exit 2 "--after needs a report of one run" "${report[@]}" second "$run" --after before.h5 --output x.html
  expect_exit 2 "needs RUN" "${report[@]}" --output x.html
  "${report[@]}" second --output report.html
  expect_exit 4 "exists already" "${report[@]}" second --output report.html
  expect_exit 4 "cannot" "${report[@]}" second --output nowhere/x.html
  expect_exit 4 "exists already, but this run did not begin it" "${unlearn[@]}" --output-dir other --log-jsonl texts/papers/forget.jsonl
  [[ ! -e x.html ]] || die "a refused report was written"
  if [[ $(id -u) == 0 ]] && mkdir disk && mount -t tmpfs -o size=16k tmpfs disk 2>/dev/null; then
    trap 'umount "$work/disk"; rm -rf "$work"' EXIT
    expect_exit 4 "disk/x.*No space" "${report[@]}" second --before before.h5 --output disk/x.html
    [[ -z $(ls -A disk) ]] || die "a report that found no space left $(ls -A disk)"
  else
    echo "skipped: a full disk needs root and mount"
  fi
}

run_case
