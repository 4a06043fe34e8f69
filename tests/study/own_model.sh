#!/usr/bin/env bash
# Usage: [OMP_NUM_THREADS=1] own_model.sh EXPUNGE TEXTS FOLDER [JOBS]
# The study on a model of one's own: a Llama of two million parameters learns books/forget, books/retain and general/retain by heart
# and forgets books/forget again, by each of the study's seven methods: over a sweep of learning rate and positive factor, then with
# three seeds, each until forget is as hard as approximate was.
# TEXTS holds books/{forget,approximate,retain}.jsonl and general/{evaluation,retain}.jsonl, all it makes lies in FOLDER, and JOBS
# runs go at a time (2). Started again it goes on where it was. In the end it prints the tables in Markdown.
set -euo pipefail
(($# == 3 || $# == 4)) || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
expunge=$(realpath "$1") texts=$(realpath "$2") folder=$3 jobs=${4:-2}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
mkdir -p "$folder/runs"
cd "$folder"

# The first documents of each split only: few enough for a run to pass over the whole of forget, and over as much of retain. General
# texts are learned, too: of a model that never saw any the perplexity on them says nothing about what forgetting costs.
forget_documents=40 retain_documents=45 general_documents=130
epochs=24
seeds=(1 2 3)
sweep_rates=(3e-4 1e-3 3e-3) sweep_factors=(1 4) sweep_steps=18 sweep_eval_steps=3

declare -A options=(
  [gradient_ascent]="--method gradient_ascent"
  [random_label]="--method random_label"
  [adversarial]="--method random_label --top-k 1 --rm-groundtruth"
  [ascent_descent]="--method ascent_plus_descent"
  [ascent_descent_general]="--method ascent_plus_descent --general"
  [ascent_kl]="--method ascent_plus_kl_divergence"
  [ascent_kl_general]="--method ascent_plus_kl_divergence --general"
)
plain=(gradient_ascent random_label adversarial)
mixed=(ascent_descent ascent_descent_general ascent_kl ascent_kl_general)
# Learning rate and positive factor of the runs with three seeds. Those that retain general texts take small steps, as nothing in
# their loss keeps books from being lost altogether, and a large factor, which keeps general texts.
declare -A chosen=(
  [gradient_ascent]="2e-4 1"
  [random_label]="2e-4 1"
  [adversarial]="1e-3 1"
  [ascent_descent]="1e-3 4"
  [ascent_descent_general]="2e-4 8"
  [ascent_kl]="1e-3 4"
  [ascent_kl_general]="1e-4 8"
)
compute=(--dtype float32 --micro-batch-tokens 2048)

step() { printf '\n== %s\n' "$1" >&2; }
die() { echo "FAILED: $*" >&2; exit 1; }
running=0
ended() { wait -n || die "a run; see the logs in $folder/runs"; running=$((running - 1)); }
start() { # COMMAND...: beside others, JOBS at a time
  ((running < jobs)) || ended
  "$@" &
  running=$((running + 1))
}
finish() { while ((running > 0)); do ended; done; }

column() { h5dump -y -w 1 -d "$2" "$1" | sed -nE 's/^ *(-?[0-9.e+-]+|nan),?$/\1/p'; }
attribute() { h5dump -a "$2/$3" "$1" | sed -nE 's/^ *\(0\): (.*)$/\1/p'; }
sequences() { h5dump -H -d "/books/$1/offsets" tokens.h5 | sed -nE 's/.*SIMPLE \{ \( ([0-9]+) \).*/\1/p' | awk '{ print $1 - 1 }'; }

step "Tokenizer and tokens"
if [[ ! -d init ]]; then
  rm -rf init.part texts
  mkdir -p init.part texts/books texts/general
  cp "$texts/books/approximate.jsonl" texts/books/
  head -n "$forget_documents" "$texts/books/forget.jsonl" >texts/books/forget.jsonl
  head -n "$retain_documents" "$texts/books/retain.jsonl" >texts/books/retain.jsonl
  cp "$texts/general/evaluation.jsonl" texts/general/
  head -n "$general_documents" "$texts/general/retain.jsonl" >texts/general/retain.jsonl
  cat texts/books/{forget,retain}.jsonl texts/general/retain.jsonl | jq -r '.text // .content' >texts.txt
  spm_train --input=texts.txt --model_prefix=init.part/tokenizer --model_type=bpe --vocab_size=512 \
    --byte_fallback=true --character_coverage=1.0 --split_digits=true --add_dummy_prefix=true \
    --normalization_rule_name=identity --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 --minloglevel=1
  jq -n '{tokenizer_class: "LlamaTokenizer", add_bos_token: true, add_eos_token: false, legacy: true,
    bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", model_max_length: 512}' >init.part/tokenizer_config.json
  jq -n '{architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", hidden_size: 192,
    intermediate_size: 512, num_hidden_layers: 4, num_attention_heads: 6, num_key_value_heads: 6,
    max_position_embeddings: 512, rms_norm_eps: 1e-5, rope_theta: 10000, vocab_size: 512, tie_word_embeddings: true,
    bos_token_id: 1, eos_token_id: 2, initializer_range: 0.02, torch_dtype: "float32"}' >init.part/config.json
  mv init.part init
fi
[[ -f tokens.h5 ]] || "$expunge" tokenize --tokenizer init --data texts --output tokens.h5 --max-length 512

step "The model learns books/forget, books/retain and general/retain by heart"
if [[ ! -f base/learned ]]; then
  "$expunge" train --init-config init/config.json --tokens tokens.h5 --split books/forget --split books/retain \
    --split general/retain --num-train-epochs "$epochs" --learning-rate 3e-3 --warmup-ratio 0.1 --lr-scheduler-type cosine \
    --global-batch-size 16 "${compute[@]}" --save-steps 200 --save-total-limit 1 --logging-steps 50 --output-dir base
  touch base/learned
fi

# The pairs of a mixed run, a forget sequence and its retain sequence, in an order that the seed draws: the methods themselves walk
# their list in order, whatever the seed. The numbers are those of Park and Miller 1988.
order() { # SEED
  awk -v x="$1" -v n="$(sequences forget)" 'BEGIN {
    for (i = 0; i < n; ++i) pair[i] = i
    for (i = n - 1; i > 0; --i) {
      x = x * 16807 % 2147483647
      j = x % (i + 1)
      t = pair[i]; pair[i] = pair[j]; pair[j] = t
    }
    for (i = 0; i < n; ++i) print 2 * pair[i] "\n" 2 * pair[i] + 1
  }'
}
for seed in "${seeds[@]}"; do order "$seed" >"order-$seed.txt"; done

unlearn() { # RUN, name of a method, learning rate, positive factor, seed, more options
  local run=$1 name=$2 rate=$3 factor=$4 seed=$5 found=0
  local -a method
  read -ra method <<<"${options[$name]}"
  [[ $name != ascent_* ]] || method+=(--positive-factor "$factor" --sample-order "order-$seed.txt")
  # A model that has collapsed (5) ends its run, and the evaluations up to there count.
  "$expunge" unlearn --model base --tokens tokens.h5 --domain books "${method[@]}" --learning-rate "$rate" --seed "$seed" \
    --lr-scheduler-type constant --global-batch-size 12 "${compute[@]}" --logging-steps 10 \
    --eval-split forget --eval-split approximate --eval-split retain --eval-split general/evaluation --max-eval-samples 24 \
    "${@:6}" --output-dir "$run" >>"$run.log" 2>&1 || found=$?
  ((found == 0 || found == 5)) || die "$run: exit $found"
}
measure() { # MODEL, where eval.h5 and mia.h5 go
  local file
  file=$2/eval.h5
  [[ -f $file ]] || "$expunge" eval --model "$1" --tokens tokens.h5 --domain books --split forget --split approximate --split retain \
    --split general/evaluation "${compute[@]}" --output "$file" --quiet >/dev/null
  file=$2/mia.h5
  [[ -f $file ]] || "$expunge" mia --model "$1" --tokens tokens.h5 --domain books "${compute[@]}" --output "$file" --quiet >/dev/null
}
until_goal() { # RUN and what unlearn takes behind it
  [[ ! -f $1/mia.h5 ]] || return 0
  unlearn "$@" --max-steps 20 --eval-steps 1 --stop-at "forget:perplexity >= approximate:perplexity@start"
  measure "$1" "$1"
}
sweep() { # the same
  [[ ! -f $1/swept ]] || return 0
  unlearn "$@" --max-steps "$sweep_steps" --eval-steps "$sweep_eval_steps"
  rm -rf "$1/checkpoints" # the evaluations are what is wanted
  touch "$1/swept"
}

step "What the model knows"
measure base base

step "Sweep: learning rate and positive factor"
for rate in "${sweep_rates[@]}"; do
  for name in "${plain[@]}"; do start sweep "runs/sweep-$name-$rate-1" "$name" "$rate" 1 1; done
  for factor in "${sweep_factors[@]}"; do
    for name in "${mixed[@]}"; do start sweep "runs/sweep-$name-$rate-$factor" "$name" "$rate" "$factor" 1; done
  done
done
finish

step "Three seeds, each until forget is as hard as approximate was"
goal_run() { # name of a method, seed
  local rate factor
  read -r rate factor <<<"${chosen[$1]}"
  echo "runs/$1-$rate-$factor-seed$2" "$1" "$rate" "$factor" "$2"
}
for seed in "${seeds[@]}"; do
  for name in "${plain[@]}" "${mixed[@]}"; do
    read -ra arguments <<<"$(goal_run "$name" "$seed")"
    start until_goal "${arguments[@]}"
  done
done
finish

figures() { # FOLDER of eval.h5 and mia.h5: perplexities of forget, approximate, retain, general, then two AUC, on one line
  local split
  for split in books/forget books/approximate books/retain general/evaluation; do attribute "$1/eval.h5" "/$split" perplexity; done |
    tr '\n' ' '
  attribute "$1/mia.h5" /results/min_k_40 auc | tr '\n' ' '
  attribute "$1/mia.h5" /results/loss auc
}
kept_step() { find "$1/checkpoints" -name 'step-*' -printf '%f\n' | awk -F - '{ step = $2 + 0; if (step > last) last = step } END { print last + 0 }'; }

step "Tables"
read -r forget approximate retain general min_k loss <<<"$(figures base)"
printf '\nThe model before: perplexity of forget %.1f, approximate %.1f (the goal), retain %.1f, general %.1f; AUC min_k_40 %.3f, loss %.3f.\n' \
  "$forget" "$approximate" "$retain" "$general" "$min_k" "$loss"
echo "
| method | rate, factor | steps | forget | x | approximate x | retain x | general x | AUC min_k_40 | AUC loss |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for name in "${plain[@]}" "${mixed[@]}"; do
  for seed in "${seeds[@]}"; do
    read -r run _ rate factor _ <<<"$(goal_run "$name" "$seed")"
    echo "$(figures "$run") $(kept_step "$run")"
  done | awk -v before="$(figures base)" -v name="$name" -v setting="${chosen[$name]}" '
    { for (i = 1; i <= NF; ++i) { sum[i] += $i; squares[i] += $i * $i } steps = steps (NR > 1 ? ", " : "") $7 }
    function mean(i) { return sum[i] / NR }
    function deviation(i,  v) { v = NR > 1 ? (squares[i] - NR * mean(i) ^ 2) / (NR - 1) : 0; return v > 0 ? sqrt(v) : 0 }
    function with_deviation(i, digits) { return sprintf("%.*f +- %.*f", digits, mean(i), digits, deviation(i)) }
    END {
      split(before, b, " "); split(setting, s, " ")
      printf "| %s | %s | %s | %s | %.2f | %.2f | %.2f | %.2f | %s | %s |\n", name, s[1] (name ~ /^ascent_/ ? ", " s[2] : ""), steps,
        with_deviation(1, 1), mean(1) / b[1], mean(2) / b[2], mean(3) / b[3], mean(4) / b[4], with_deviation(5, 3), with_deviation(6, 3)
    }'
done

# Steps in which forget is at least so many times as hard as before, and retain and general at most. Between two evaluations the
# logarithm of a perplexity is taken as a straight line, so that a part of the steps between them counts.
usable_forget=1.5 usable_retain=1.5 usable_general=1.1
usable() { # RUN
  local file=$1/evaluations.h5
  paste -d ' ' <(column "$file" /eval/books/forget/perplexity) <(column "$file" /eval/books/retain/perplexity) \
    <(column "$file" /eval/general/evaluation/perplexity) | awk -v every="$sweep_eval_steps" \
    -v forget="$usable_forget" -v retain="$usable_retain" -v general="$usable_general" '
    function limit(from, to, bound, sign,  cut) {  # narrows [low, high] to where sign * (value - bound) >= 0
      from = sign * (from - bound); to = sign * (to - bound)
      if (from < 0 && to < 0) { low = 1; high = 0; return }
      if (from >= 0 && to >= 0) return
      cut = from / (from - to)
      if (from < 0) { if (cut > low) low = cut } else if (cut < high) high = cut
    }
    { for (i = 1; i <= 3; ++i) { now[i] = log($i); if (NR == 1) start[i] = now[i] } }
    NR > 1 {
      low = 0; high = 1
      limit(before[1] - start[1], now[1] - start[1], log(forget), 1)
      limit(before[2] - start[2], now[2] - start[2], log(retain), -1)
      limit(before[3] - start[3], now[3] - start[3], log(general), -1)
      if (high > low) steps += high - low
    }
    { for (i = 1; i <= 3; ++i) before[i] = now[i] }
    END { printf "%.1f\n", steps * every }'
}
printf '\nSteps of %s in which forget is at least %s times as hard as before, retain at most %s and general at most %s times, ' \
  "$sweep_steps" "$usable_forget" "$usable_retain" "$usable_general"
printf 'by learning rate and positive factor. Where a run stops, and this table, look at some sequences of each split; the first table at all.\n\n| method |'
settings=()
for rate in "${sweep_rates[@]}"; do
  for factor in "${sweep_factors[@]}"; do settings+=("$rate-$factor"); done
done
for setting in "${settings[@]}"; do printf ' %s, %s |' "${setting%-*}" "${setting##*-}"; done
printf ' all |\n|'
printf ' --- |%.0s' "method" "${settings[@]}" "all"
printf '\n'
for name in "${plain[@]}" "${mixed[@]}"; do
  for setting in "${settings[@]}"; do
    if [[ -d runs/sweep-$name-$setting ]]; then usable "runs/sweep-$name-$setting"; else echo -; fi
  done | awk -v name="$name" '{ row = row " " $1 " |"; if ($1 != "-") sum += $1 } END { printf "| %s |%s %.1f |\n", name, row, sum }'
done
