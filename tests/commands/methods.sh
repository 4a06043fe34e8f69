#!/usr/bin/env bash
# The unlearning methods as users run them: what each leaves in its run folder, resuming, labels, ending in time, refusals.
source "$(dirname "$0")/common.sh" "$@"

common=(unlearn --model base --tokens all.h5 --domain papers --global-batch-size 4 --lr-scheduler-type constant)
slow=(--learning-rate 1e-3 --quiet)
run() { ranks 2 "$expunge" "${common[@]}" "${slow[@]}" "$@"; }

set_up() {
  make_inputs
  for split in forget retain; do head -n 3 "texts/papers/$split.jsonl" >"texts/general/$split.jsonl"; done
  "$expunge" tokenize --tokenizer init --data texts --output all.h5 --max-length 64 --quiet
  ranks 2 "$expunge" "${train[@]}" --max-steps 20 --learning-rate 3e-3 --output-dir base --quiet
}

# Stopped after step 2 of 4 and started again: bitwise, with the labels, the reference model and the reference column found again.
case_resuming() {
  for method in "random_label --top-k 3 --rm-groundtruth" "ascent_plus_kl_divergence --retain-repeat" "npo --retain-repeat"; do
    name=${method%% *}
    # shellcheck disable=SC2086  # the method and its options are words
    run --method $method --max-steps 4 --save-steps 2 --output-dir "$name"
    cp -r "$name" "$name-stopped"
    rm -r "$name-stopped/checkpoints/step-000004"
    # shellcheck disable=SC2086
    run --method $method --max-steps 4 --save-steps 2 --output-dir "$name-stopped"
    same_parameters "$name/checkpoints/step-000004" "$name-stopped/checkpoints/step-000004" || die "$name: the resumed weights differ"
  done
}

# Labels: saved, fed back, the same on any number of ranks, and another draw with another seed.
case_labels() {
  run --method random_label --max-steps 2 --save-labels labels.h5 --output-dir random
  h5diff labels.h5 random/labels.h5 /papers || die "labels differ from those of the run"
  run --method random_label --max-steps 2 --labels labels.h5 --output-dir given
  same_parameters random/checkpoints/step-000002 given/checkpoints/step-000002 || die "given labels train another model"
  ranks 3 "$expunge" "${common[@]}" "${slow[@]}" --method random_label --max-steps 2 --output-dir three
  h5diff labels.h5 three/labels.h5 /papers || die "labels differ on three ranks"
  run --method random_label --top-k 3 --rm-groundtruth --max-steps 4 --save-steps 2 --output-dir relabelled
  rm -r relabelled/checkpoints/step-000004
  cp labels.h5 relabelled/labels.h5
  expect_exit 3 "relabelled/labels.h5: the file of labels changed since the run began" "$expunge" "${common[@]}" "${slow[@]}" \
    --method random_label --top-k 3 --rm-groundtruth --max-steps 4 --save-steps 2 --output-dir relabelled
  run --method random_label --max-steps 2 --seed 7 --output-dir other
  ! h5diff -q labels.h5 other/labels.h5 /papers || die "the seed does not matter"
  # Every label but the first of each sequence is a target.
  ids=$(h5ls labels.h5/papers/forget/ids | grep -oE '[0-9]+' | head -n 1) sequences=$(attribute labels.h5 /papers/forget sequences)
  expect_exit 0 "stored by a method" "$expunge" inspect labels.h5
  expect_exit 0 "papers/forget +$ids labels, $((ids - sequences)) of them targets, in $sequences sequences" "$expunge" inspect labels.h5
  sed 's/ the / a /' texts/papers/forget.jsonl >changed.jsonl
  mkdir -p changed/papers && cp texts/papers/*.jsonl changed/papers && head -n 11 changed.jsonl >changed/papers/approximate.jsonl
  "$expunge" tokenize --tokenizer init --data changed --output changed.h5 --max-length 64 --quiet
  expect_exit 3 "its labels are for another token file" "$expunge" unlearn --model base --tokens changed.h5 --domain papers --method random_label \
    --max-steps 2 --labels labels.h5 --output-dir refused
  # Labels from elsewhere have the layout alone: that nothing ties them to the text is said.
  h5copy -i labels.h5 -o foreign.h5 -s /papers -d /papers
  expect_exit 0 "warning.*foreign.h5: has no attribute tokens_sha256" ranks 2 "$expunge" "${common[@]}" "${slow[@]}" \
    --method random_label --max-steps 2 --labels foreign.h5 --output-dir foreign
  [[ $(grep -c tokens_sha256 out.txt) == 1 ]] || die "the warning is not given once"
  expect_exit 0 "labels of another program" "$expunge" inspect foreign.h5
  same_parameters random/checkpoints/step-000002 foreign/checkpoints/step-000002 || die "foreign labels train another model"
  run --method random_label --top-k 1 --rm-groundtruth --max-steps 2 --output-dir adversarial
  ranks 3 "$expunge" "${common[@]}" "${slow[@]}" --method random_label --top-k 1 --rm-groundtruth --max-steps 2 --output-dir adversarial3
  h5diff adversarial/labels.h5 adversarial3/labels.h5 /papers || die "adversarial labels differ on three ranks"
}

# Ending in time: of the two evaluations around the value the nearer one's state is kept, and the run counts as finished.
# The first value is just below what the last evaluation will find, the second just above the one before it.
case_ending_in_time() {
  ending=(unlearn --model base --tokens all.h5 --domain papers --global-batch-size 4 --lr-scheduler-type constant
          --method gradient_ascent --max-steps 500 --eval-steps 2 --learning-rate 3e-3)
  perplexities() { h5dump -d /eval/papers/forget/perplexity "$1/evaluations.h5" | sed -nE 's/^ *\(0\): (.*)$/\1/p'; }
  expect_exit 0 "forget:perplexity >= 400 holds" ranks 2 "$expunge" "${ending[@]}" --stop-at "forget:perplexity >= 400" \
    --log-jsonl log.jsonl --tensorboard on --output-dir seek
  read -r before after at < <(awk -v list="$(perplexities seek)" 'BEGIN { n = split(list, p, ", ")
    if (n > 2 && p[n - 1] < 400 && p[n] >= 400) print p[n - 1], p[n], 2 * (n - 1) }')
  [[ -n ${at:-} ]] || die "perplexities are $(perplexities seek)"
  [[ $(grep -c '"eval/papers/forget/perplexity"' log.jsonl) == $((at / 2 + 1)) ]] || die "evaluations in the log: $(cat log.jsonl)"
  grep -q "eval/papers/forget/perplexity" seek/tensorboard/* || die "no evaluation in TensorBoard's file"
  expect_exit 0 "after steps 0, 2" "$expunge" inspect seek/evaluations.h5
  near_first=$(awk -v p="$before" 'BEGIN { print 1.01 * p }') near_last=$(awk -v p="$after" 'BEGIN { print 0.99 * p }')
  for ranks in 1 2; do
    expect_exit 0 "step $((at - 2)) was nearer" ranks $ranks "$expunge" "${ending[@]}" --stop-at "forget:perplexity >= $near_first" \
      --save-steps 1 --save-total-limit 1 --output-dir "first-$ranks"
    [[ $(ls "first-$ranks/checkpoints") == $(printf 'step-%06d' $((at - 2))) ]] || die "kept $(ls "first-$ranks/checkpoints")"
  done
  expect_exit 0 "finished already" ranks 2 "$expunge" "${ending[@]}" --stop-at "forget:perplexity >= $near_first" --save-steps 1 \
    --save-total-limit 1 --output-dir first-2
  "$expunge" eval --model first-2 --tokens all.h5 --domain papers --split papers/forget --output kept.h5 --quiet
  awk -v a="$(attribute kept.h5 /papers/forget perplexity)" -v b="$before" 'BEGIN { exit !(a / b < 1.0001 && b / a < 1.0001) }' ||
    die "the kept model is not that of the evaluation"
  expect_exit 0 "holds; the run ends" ranks 2 "$expunge" "${ending[@]}" --stop-at "forget:perplexity >= $near_last" --output-dir last
  [[ $(ls last/checkpoints) == $(printf 'step-%06d' "$at") ]] || die "kept $(ls last/checkpoints)"
}

# Only what matches is trained.
case_trainable() {
  run --method rmu --layer 0 --trainable 'model\.layers\.0\.mlp\.down_proj\.weight' --retain-repeat --max-steps 2 --output-dir rmu
  h5diff -q base/checkpoints/step-000020/checkpoint.h5 rmu/checkpoints/step-000002/checkpoint.h5 \
    /parameters/model.layers.0.self_attn.q_proj.weight || die "a fixed parameter moved"
  ! h5diff -q base/checkpoints/step-000020/checkpoint.h5 rmu/checkpoints/step-000002/checkpoint.h5 \
    /parameters/model.layers.0.mlp.down_proj.weight || die "the trained parameter did not move"
}

case_refusals() {
  refused=("$expunge" "${common[@]}" --max-steps 2 --output-dir refused)
  expect_exit 2 "papers/retain has .* needs .*--retain-repeat" "$expunge" "${common[@]}" --output-dir refused \
    --method ascent_plus_descent --positive-ratio 9
  expect_exit 0 "done" "$expunge" "${common[@]}" --output-dir short --method ascent_plus_descent --positive-ratio 9 --max-steps 2
  elsewhere=("$expunge" unlearn --model base --max-steps 2 --output-dir refused)
  expect_exit 3 "no domain 'people'" "${elsewhere[@]}" --tokens all.h5 --method gradient_ascent --domain people
  expect_exit 3 "general/retain: there is no such split|no domain" "${elsewhere[@]}" --tokens tokens.h5 --domain papers --general \
    --method ascent_plus_kl_divergence
  expect_exit 2 "beta has no effect with --method gradient_ascent" "${refused[@]}" --method gradient_ascent --beta 3
  expect_exit 2 "expected a block of the model, 0 to 1" "${refused[@]}" --method rmu --retain-repeat
  expect_exit 2 "matches no parameter" "${refused[@]}" --method gradient_ascent --trainable nothing
  expect_exit 2 "stop-at: expected SPLIT:METRIC" "${refused[@]}" --method gradient_ascent --eval-steps 1 --stop-at "perplexity > 3"
  expect_exit 2 "stop-at: people is not among the evaluated splits: papers/approximate" "${refused[@]}" \
    --method gradient_ascent --eval-steps 1 --stop-at "people:perplexity >= 3"
  expect_exit 3 "papers/nothing: there is no such split" "${refused[@]}" --method gradient_ascent --eval-steps 1 --eval-split nothing
  cp base/metrics.h5 empty.h5
  expect_exit 3 "has no labels" "${refused[@]}" --method gradient_ascent --labels empty.h5
  expect_exit 4 "save-labels .*all.h5: is the input of --tokens" "${refused[@]}" --method random_label --save-labels all.h5
  expect_exit 4 "nowhere/x.h5: cannot be written: there is no folder nowhere" "${refused[@]}" --method random_label --save-labels nowhere/x.h5
  [[ ! -e refused ]] || die "a refused run left a folder"
}

# Labels that are not the text are unlikely under a good model, which has not collapsed for it.
case_collapse() {
  run --method random_label --save-labels drawn.h5 --collapse-guard 1 --max-steps 2 --output-dir random_guarded
  expect_exit 5 "has collapsed.*the run has no checkpoint yet" "$expunge" "${common[@]}" --method gradient_ascent \
    --collapse-guard 0.01 --max-steps 2 --output-dir guarded
  expect_exit 5 "step .*not both finite.*papers/forget sequence|has collapsed" "$expunge" "${common[@]}" --method gradient_ascent \
    --max-steps 200 --save-steps 1 --save-total-limit 1 --learning-rate 3e-2 --output-dir broken
  kept=$(echo broken/checkpoints/step-*)
  [[ -f $kept/checkpoint.h5 ]] && grep -q "the last checkpoint, $kept, is unchanged" out.txt || die "the last good checkpoint is gone"
  step=$(grep -oE "step [0-9]+: " out.txt | tail -n 1 | tr -dc 0-9)
  [[ $kept == $(printf 'broken/checkpoints/step-%06d' $((step - 1))) ]] || die "step $step ended the run, which kept $kept"
  expect_exit 5 "after step 1: the nll of papers/forget sequence [0-9]+ is not finite.*no checkpoint yet" "$expunge" "${common[@]}" \
    --method gradient_ascent --max-steps 9 --save-steps 1 --learning-rate 1e38 --max-grad-norm 0 --output-dir burst
  # Labels of a model that is broken.
  "$expunge" export --checkpoint base --output-dir bad --quiet
  bytes=$(stat -c %s bad/model.safetensors)
  head -c 65536 /dev/zero | tr '\0' '\377' | dd of=bad/model.safetensors bs=1 seek=$((bytes - 65536)) conv=notrunc status=none
  expect_exit 5 "bad: cannot draw labels for papers/forget, sequence 0: the model's logits are not finite" ranks 2 "$expunge" \
    unlearn --model bad "${common[@]:3}" --method random_label --top-k 1 --rm-groundtruth --max-steps 2 --output-dir undrawn
  # What the last update breaks is not kept, whatever the method looks at.
  for method in gradient_ascent "rmu --layer 0 --retain-repeat"; do
    # shellcheck disable=SC2086  # the method and its options are words
    expect_exit 5 "after step 1: .*collapsed.*not saved" ranks 2 "$expunge" "${common[@]}" --method $method --max-steps 1 \
      --learning-rate 3 --collapse-guard 1 --output-dir last --overwrite-output-dir
    [[ ! -e last/checkpoints/step-000001 ]] || die "the collapsed model was kept"
  done
}

run_case
