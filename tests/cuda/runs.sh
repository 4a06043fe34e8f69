#!/usr/bin/env bash
# Runs on a GPU beside the same runs on the CPU: losses, methods, sharing the GPU, repeating, resuming, evaluating, generating.
# usage: runs.sh EXECUTABLE STEPS
source "$(dirname "$0")/../commands/common.sh" "$1"
steps=$2
# One GPU alone: two ranks are to share it.
CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES%%,*}
make_inputs
# Short sequences, for the emulated GPU.
"$expunge" tokenize --tokenizer init --data texts --output short.h5 --max-length 24 --quiet
gpu=(--device cuda --quiet)
cpu=(--device cpu --quiet)
run=(train --init-config init/config.json --tokens short.h5 --split papers/forget --global-batch-size 2 --learning-rate 1e-3 --lr-scheduler-type constant --per-device-train-batch-size 1)
"$expunge" "${run[@]}" --max-steps 1 "${gpu[@]}" --output-dir probe >out.txt 2>&1 || {
  grep -q "has no GPU" out.txt && { echo "SKIPPED: no GPU: $(grep -m 1 "has no GPU" out.txt)"; exit 77; }
  cat out.txt >&2
  die "the first run on the GPU"
}
grep -q "^dtype = bfloat16" probe/config || die "not bfloat16 without --dtype: $(grep ^dtype probe/config)"

# same_losses RUN RUN LIMIT: the losses of all steps differ by at most LIMIT of them, and those of the methods' roles too.
same_losses() {
  local column
  for column in loss grad_norm; do
    h5diff -p "$3" "$1/metrics.h5" "$2/metrics.h5" "/train/$column" || die "$column of $1 and $2 differ"
  done
}

# first_moments RUN: AdamW's after step 1, a tenth of the clipped gradients, one number a line in the order of their names.
first_moments() { h5dump -y -w 1 -m %.17g -g /exp_avg "$1/checkpoints/step-000001/checkpoint.h5" | grep -E '^ *[-0-9.e+]+,? *$' | tr -d ' ,'; }
# same_gradients RUN RUN LIMIT: ||a - b|| / ||b|| over all gradients of step 1 is at most LIMIT.
same_gradients() {
  first_moments "$2" >moments.txt
  [[ $(wc -l <moments.txt) -gt 40000 ]] || die "$2 has $(wc -l <moments.txt) first moments"
  first_moments "$1" | paste - moments.txt | awk -v limit="$3" '
    NF != 2 { torn = 1 } { apart += ($1 - $2) ^ 2; all += $2 ^ 2 } END { exit torn || !(all > 0 && apart <= limit ^ 2 * all) }' ||
    die "the gradients of $1 and $2 differ"
}

# Losses and gradients in every element type and both gather policies, on one rank and on two of the same GPU.
for case in "float32 per-step none 1e-5" "float64 per-micro-step light 1e-12" "bfloat16 per-micro-step block 1e-2"; do
  read -r type gather recompute limit <<<"$case"
  options=(--max-steps 2 --save-steps 1 --dtype "$type" --gather "$gather" --recompute "$recompute")
  "$expunge" "${run[@]}" "${options[@]}" "${cpu[@]}" --output-dir "$type-cpu"
  "$expunge" "${run[@]}" "${options[@]}" "${gpu[@]}" --output-dir "$type-gpu"
  ranks 2 "$expunge" "${run[@]}" "${options[@]}" "${gpu[@]}" --comm staged --output-dir "$type-gpu2"
  for other in gpu gpu2; do
    same_losses "$type-cpu" "$type-$other" "$limit"
    same_gradients "$type-$other" "$type-cpu" "$limit"
  done
  echo "ok: $type"
done
expect_exit 2 "ranks 0 and 1 are on the same GPU, GPU-.*--comm staged" ranks 2 "$expunge" "${run[@]}" --max-steps 1 --device cuda --output-dir refused
[[ ! -e refused ]] || die "a refused run left a folder"

# Again is bitwise the same, and so is going on after step 1.
options=(--max-steps 2 --save-steps 1 --dtype bfloat16 --gather per-micro-step)
"$expunge" "${run[@]}" "${options[@]}" "${gpu[@]}" --output-dir once
"$expunge" "${run[@]}" "${options[@]}" "${gpu[@]}" --output-dir again
same_parameters once/checkpoints/step-000002 again/checkpoints/step-000002 || die "another run gave other weights"
rm -r again/checkpoints/step-000002
"$expunge" "${run[@]}" "${options[@]}" "${gpu[@]}" --output-dir again
same_parameters once/checkpoints/step-000002 again/checkpoints/step-000002 || die "the resumed weights differ"
echo "ok: bitwise"

for method in gradient_ascent random_label "random_label --top-k 3" "random_label --top-k 1 --rm-groundtruth" \
  "ascent_plus_descent --retain-repeat" "ascent_plus_kl_divergence --retain-repeat" finetune retrain "grad_diff --retain-repeat" \
  "npo --retain-repeat" "simnpo --retain-repeat" "wga --retain-repeat" "satimp --retain-repeat" "ce_u --retain-repeat" \
  "rmu --layer 0 --retain-repeat" undial; do
  name=${method// /_}
  # shellcheck disable=SC2206  # the method and its options are words
  unlearn=(unlearn --model once --tokens short.h5 --domain papers --global-batch-size 2 --method $method --max-steps "$steps"
           --per-device-train-batch-size 1 --learning-rate 1e-4 --lr-scheduler-type constant --dtype float32)
  "$expunge" "${unlearn[@]}" "${cpu[@]}" --output-dir "$name-cpu"
  "$expunge" "${unlearn[@]}" "${gpu[@]}" --output-dir "$name-gpu"
  same_losses "$name-cpu" "$name-gpu" 1e-3
  if [[ $name == *kl* || $steps -gt 2 ]]; then
    ranks 2 "$expunge" "${unlearn[@]}" "${gpu[@]}" --comm staged --output-dir "$name-gpu2"
    same_losses "$name-cpu" "$name-gpu2" 1e-3
  fi
  echo "ok: $name"
done

printf '{"text": "The model"}\n{"text": "a"}\n' >prompts.jsonl
for device in cpu cuda; do
  "$expunge" eval --model once --tokens short.h5 --device $device --domain papers --max-eval-samples 3 --dtype float32 \
    --output "eval-$device.h5" --quiet
  "$expunge" generate --model once --prompts prompts.jsonl --device $device --max-new-tokens 8 --dtype float32 \
    --output "text-$device" --quiet
done
same_results eval-cpu.h5 eval-cuda.h5 -p 1e-4 || die "evaluations differ"
cmp text-cpu text-cuda || die "generated texts differ"
echo passed
