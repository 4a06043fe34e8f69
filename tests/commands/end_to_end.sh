#!/usr/bin/env bash
# From texts to an unlearned, evaluated and exported model, on two ranks; what each file must show.
source "$(dirname "$0")/common.sh" "$1"
make_inputs

ranks 2 "$expunge" "${train[@]}" --quiet --learning-rate 1e-2 --max-steps 150 --output-dir base
ranks 2 "$expunge" eval --model base --tokens tokens.h5 --domain papers --output before.h5 --quiet >table.txt
for split in papers/forget papers/approximate papers/retain general/evaluation; do
  grep -q "^$split " table.txt || die "no row for $split"
done
ranks 2 "$expunge" unlearn --model base --tokens tokens.h5 --domain papers --method gradient_ascent --learning-rate 2e-3 \
  --lr-scheduler-type constant --max-steps 5 --global-batch-size 6 --output-dir unlearned --quiet
ranks 2 "$expunge" eval --model unlearned --tokens tokens.h5 --domain papers --output after.h5 --compare before.h5 --quiet

forgotten=$(attribute after.h5 /papers/forget perplexity) known=$(attribute before.h5 /papers/forget perplexity)
awk "BEGIN { exit !($forgotten > 1.2 * $known) }" || die "forget perplexity $known -> $forgotten"
for column in step loss loss_forget loss_retain learning_rate grad_norm tokens tokens_per_second memory_bytes model_state_bytes; do
  rows=$(h5dump -H -d "/train/$column" unlearned/metrics.h5 | sed -nE 's/.*SIMPLE \{ \( ([0-9]+) \).*/\1/p')
  [[ $rows == 5 ]] || die "/train/$column has $rows rows"
done
[[ $(attribute unlearned/checkpoints/step-000005/checkpoint.h5 "" step) == 5 ]] || die "attribute step"
h5dump -H -d /parameters/model.layers.1.self_attn.k_proj.weight unlearned/checkpoints/step-000005/checkpoint.h5 |
  grep -q '( 16, 32 )' || die "true shape of k_proj"

# The export is the checkpoint: same figures, and the hash that sha256sum prints.
"$expunge" export --checkpoint unlearned --output-dir exported --quiet
for file in config.json model.safetensors tokenizer.model tokenizer_config.json; do [[ -s exported/$file ]] || die "no $file"; done
ranks 3 "$expunge" eval --model exported --tokens tokens.h5 --domain papers --output exported.h5 --quiet >/dev/null
h5diff -p 1e-5 after.h5 exported.h5 /papers || die "evaluation of the export differs"
hash=$(h5dump -a /model_sha256 exported.h5 | grep -oE '[0-9a-f]{64}')
[[ $hash == $(sha256sum exported/model.safetensors | cut -d' ' -f1) ]] || die "model_sha256 is $hash"

for path in base base/checkpoints/step-000150 base/metrics.h5 tokens.h5 exported exported/model.safetensors before.h5; do
  "$expunge" inspect "$path" >/dev/null || die "inspect $path"
done
# bfloat16 on three ranks, both gather policies, packed micro-batches.
for gather in per-step per-micro-step; do
  ranks 3 "$expunge" "${train[@]}" --quiet --bf16 --gather "$gather" --micro-batch-tokens 200 --reduce-dtype bf16 --max-steps 3 \
    --output-dir "bf16-$gather"
done
# Without --dtype: what all ranks' processors multiply, found together, also where they differ.
one=(--quiet --max-steps 1)
env -u ONEDNN_MAX_CPU_ISA "$expunge" "${train[@]}" "${one[@]}" --output-dir own-type
mpirun --bind-to none -n 1 "$expunge" "${train[@]}" "${one[@]}" --output-dir mixed \
  : -n 1 env -u ONEDNN_MAX_CPU_ISA "$expunge" "${train[@]}" "${one[@]}" --output-dir mixed
grep -q "^dtype = float32" mixed/config || die "ranks of unequal processors: $(grep ^dtype mixed/config)"
echo "the processor's own type: $(grep ^dtype own-type/config)"
echo passed
