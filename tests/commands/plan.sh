#!/usr/bin/env bash
# What expunge plan says beside what runs take: the bytes of shards exactly, memory and time with their error.
source "$(dirname "$0")/common.sh" "$@"

run=(train --init-config init/config.json --tokens tokens.h5 --split papers/forget --max-steps 2 --global-batch-size 4
     --per-device-train-batch-size 2 --quiet)
plan=(plan --model init --device cpu --memory-per-rank 8GB --per-device-train-batch-size 2
      --global-batch-size 4)

# percent A B: how far A is from B.
percent() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", 100 * (a / b - 1) }'; }
within() { awk -v x="$1" -v limit="$2" 'BEGIN { exit !(x <= limit && x >= -limit) }' || die "$3: off by $1 %"; }
# The last step's figure.
column() { h5dump -d "/train/$2" "$1/metrics.h5" | sed -nE 's/^ *\([0-9]+\): (.*)$/\1/p' | tr -d ' ' | tr ',' '\n' | tail -n 1; }
# planned TEXT: the bytes of the line of the plan that begins with the text.
planned() { "$expunge" "${plan[@]}" --max-length 64 --world "$n" --gather "$gather" --recompute "$recompute" | awk -v text="$1" '
  index($0, "  " text) == 1 { for (i = 2; i <= NF; ++i) if ($i ~ /iB/) { split("KiB MiB GiB", u); for (k in u) if (u[k] == $i) s = 1024 ^ k; print $(i - 1) * s; exit } }'; }

set_up() {
  make_inputs
  # Large enough that weights and activations outweigh the libraries.
  sed -i 's/"hidden_size": 32/"hidden_size": 512/; s/"intermediate_size": 88/"intermediate_size": 1408/;
          s/"num_hidden_layers": 2/"num_hidden_layers": 4/' init/config.json
}

case_memory() {
  for n in 1 2; do
    for policies in "per-step none" "per-micro-step block"; do
      read -r gather recompute <<<"$policies"
      ranks "$n" "$expunge" "${run[@]}" --gather "$gather" --recompute "$recompute" --overwrite-output-dir --output-dir "run$n"
      error=$(percent "$(planned together)" "$(column "run$n" memory_bytes)")
      echo "$n rank(s), $policies: planned memory is off by $error %"
      within "$error" 15 "memory of $n ranks, $policies"
    done
  done
  # 16 bytes a parameter and rank, of fp32 shards padded to whole blocks of 128 bytes.
  parameters=$("$expunge" "${plan[@]}" --world 2 | sed -nE '1s/.*: ([0-9.]+) M parameters.*/\1/p')
  within "$(percent "$(awk -v m="$parameters" 'BEGIN { print m * 1e6 * 8 }')" "$(column run2 model_state_bytes)")" 0.1 "model_state_bytes"
}

# The time of a run with other policies, on another number of ranks, from the rate of this one.
case_time() {
  ranks 2 "$expunge" "${run[@]}" --gather per-step --recompute none --output-dir timed
  for n in 1 2; do
    ranks "$n" "$expunge" "${run[@]}" --gather per-micro-step --recompute block --output-dir "timed-$n"
    length=$(($(column "timed-$n" tokens) / 4))
    taken=$(awk -v t="$(column "timed-$n" tokens)" -v s="$(column "timed-$n" tokens_per_second)" 'BEGIN { print t / s }')
    planned=$("$expunge" "${plan[@]}" --max-length "$length" --world "$n" --gather per-micro-step --recompute block \
      --measured-run timed | sed -nE 's/^  time +([0-9.e-]+) s .*/\1/p')
    echo "a step on $n rank(s): planned $planned s, taken $taken s: off by $(percent "$planned" "$taken") %"
    [[ -n $planned ]] || die "no time planned"
  done

  # What `auto` chose stands in the checkpoint, and counts.
  cp -r timed-1 auto
  sed -i 's/^recompute = block$/recompute = auto/' auto/config
  rate() { "$expunge" "${plan[@]}" --world 1 --measured-run "$1" | grep -E '^  time' || die "no time from $1"; }
  [[ $(rate auto) == "$(rate timed-1)" ]] || die "the rate of a run whose policy was chosen: $(rate auto), not $(rate timed-1)"
}

# A run that asks for a GPU where none is visible.
case_refusals() {
  for n in 1 2; do
    CUDA_VISIBLE_DEVICES="" expect_exit 2 "rank 0 has no GPU: .*use --device cpu" ranks $n "$expunge" "${run[@]}" --device cuda --output-dir no-gpu
  done
  [[ ! -e no-gpu ]] || die "a refused run left a folder"
  expect_exit 2 "does not fit: a rank needs .* it would on [0-9]+ ranks" "$expunge" plan --model init --world 1 --gpu-memory 1.8GB
  expect_exit 2 "needs --gpu-memory SIZE" "$expunge" plan --model init --world 1
  expect_exit 3 "config.json" "$expunge" plan --model nowhere --world 1 --gpu-memory 80GB
  expect_exit 3 "expected a run folder" "$expunge" plan --model init --world 1 --gpu-memory 80GB --measured-run init
}

case_scripts() {
  expect_exit 0 "written: job.sbatch" "$expunge" plan --model init --world 16 --gpu-memory 80GB --sbatch job.sbatch
  expect_exit 4 "exists already" "$expunge" plan --model init --world 16 --gpu-memory 80GB --sbatch job.sbatch
  bash -n job.sbatch
  for line in '--nodes=2' '--ntasks-per-node=8' '--gpus-per-node=8'; do grep -q -- "^#SBATCH $line" job.sbatch || die "no $line"; done
  # The options that the plan was made with, and the configs of the runs that it is for.
  expect_exit 0 "written: other.sbatch" "$expunge" plan --model init --world 2 --gpu-memory 80GB --device cuda --dtype float32 --tf32 \
    --prefetch off --comm nccl --collective-timeout 300 --sbatch other.sbatch
  for option in "--tf32 true" "--prefetch off" "--comm nccl" "--collective-timeout 300"; do
    grep -q -- " $option" other.sbatch || die "the script lacks $option"
  done
}

case_methods() {
  expect_exit 0 "ascent_plus_descent" "$expunge" plan --model init --world 2 --gpu-memory 80GB \
    --config "$root/configs/yi-6b-arxiv-ascent_plus_descent.cfg"
  # Without a retain term nothing is held against the original model, so it is not kept.
  kept=(plan --model init --device cpu --world 2 --memory-per-rank 8GB --method grad_diff --retain-loss kl)
  expect_exit 0 "reference model" "$expunge" "${kept[@]}"
  "$expunge" "${kept[@]}" --alpha 0 >out.txt
  ! grep -q "reference model" out.txt || { cat out.txt; die "a model is kept that nothing is held against"; }
  echo "alpha = 0" >alpha.cfg
  "$expunge" "${kept[@]}" --alpha 0 --sbatch kept.sbatch >/dev/null && grep -q -- " --alpha 0" kept.sbatch || die "the script lacks --alpha"
  "$expunge" "${kept[@]}" --config alpha.cfg | diff - out.txt || die "alpha of a config file"
}

run_case
