#!/usr/bin/env bash
# What checkpoints cost a run of a model of 100 M parameters: how long training stands still for one, how much slower it is while
# one is written, and the share of both if there is one a minute. Writing takes a core of its own
# where training leaves one. Usage: [OMP_NUM_THREADS=N] checkpoint_cost.sh EXPUNGE [RANKS] [FOLDER]
threads=${OMP_NUM_THREADS:-}
source "$(dirname "$0")/../commands/common.sh" "$1"
unset OMP_NUM_THREADS ONEDNN_MAX_CPU_ISA # what is timed is what a user runs
[[ -z $threads ]] || export OMP_NUM_THREADS=$threads
n=${2:-1}
disk=${3:-$work}
make_inputs
sed -i 's/"hidden_size": 32, "intermediate_size": 88/"hidden_size": 768, "intermediate_size": 2048/; s/"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2/"num_hidden_layers": 14, "num_attention_heads": 12, "num_key_value_heads": 12/' \
  init/config.json
run=(ranks "$n" "$expunge" "${train[@]}" --learning-rate 1e-4 --gather per-step --recompute none)

# Seconds of each step but the first, which allocates.
seconds() {
  paste -d ' ' <(column "$1" tokens) <(column "$1" tokens_per_second) | awk 'NR > 1 { print $1 / $2 }'
}
column() { h5dump -y -w 1 -d "/train/$2" "$1/metrics.h5" | sed -nE 's/^ *([0-9.e+-]+),?$/\1/p'; }

# Without checkpoints before and after, so that a machine that grows slower or faster does not pass for their cost.
without() {
  "${run[@]}" --max-steps 9 --output-dir "$disk/without$1" --quiet
  rm -r "$disk/without$1/checkpoints"
}
without 1
"${run[@]}" --max-steps 32 --save-steps 8 --output-dir "$disk/with" 2>log.txt
without 2
grep -E "M parameters|checkpoints?; training waited" log.txt
bytes=$(du -sb "$disk/with/checkpoints/step-000008" | cut -f 1)
awk -v stall="$(sed -nE 's/.*training waited for them ([0-9.]+) s.*/\1/p' log.txt)" -v bytes="$bytes" '
  FNR == NR { without[n_without++] = $1; next }
  { total += $1; ++n }
  END {
    for (i = 0; i < n_without; ++i) for (j = i + 1; j < n_without; ++j) if (without[j] < without[i]) { t = without[i]; without[i] = without[j]; without[j] = t }
    step = without[int(n_without / 2)]
    written = 3  # of steps 8, 16 and 24, while training went on
    slower = (total - n * step) / written
    printf "a step takes %.2f s; a checkpoint holds %.0f MB\n", step, bytes / 1e6
    printf "a checkpoint: training stands still for %.2f s, steps take %.2f s longer\n", stall / written, slower
    printf "one a minute: stalled %.2f %% of the time, %.2f %% slower in all\n", stall / written / 0.6, (slower + stall / written) / 0.6
  }' <(seconds "$disk/without1"; seconds "$disk/without2") <(seconds "$disk/with")
