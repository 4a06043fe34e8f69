#!/usr/bin/env bash
# The demo: a small Llama learns invented texts by heart, then forgets some of them. Usage: data/demo.sh [EXPUNGE]
# Everything it makes lies in demo/. Stopped and started again, it goes on where it was; `make clean` makes it start afresh.
set -euo pipefail
cd "$(dirname "$0")/.."

expunge=${1:-build/expunge}
root=.
# `make clean` removes demo/, so nobody else's folder is taken for it.
if [ -e demo ] && [ ! -f demo/.expunge-demo ]; then
  echo "demo: exists, and this demo did not make it; move it" >&2
  exit 4
fi
mkdir -p demo
: >demo/.expunge-demo
# shellcheck source=demo_model.sh
source data/demo_model.sh

step "4. Measure it: perplexity and accuracy, then how well an attacker can tell papers/forget from texts that it never saw"
measure() {  # MODEL, FILE of evaluation, FILE of membership inference (its table goes beside it), perhaps --compare FILE
  "${launch[@]}" "$expunge" eval --config configs/demo-eval.cfg --domain papers --split forget --split approximate --split retain \
    --split code/retain --split people/retain --split general/evaluation --model "$1" --output "$2" "${@:4}" --overwrite --quiet
  "${launch[@]}" "$expunge" mia --config configs/demo-eval.cfg --domain papers --model "$1" --output "$3" --overwrite --quiet \
    >"${3%.h5}.txt"
}
measure demo/base demo/before.h5 demo/mia-before.h5
cat demo/mia-before.txt

step "5. Make it forget papers/forget, by each of the study's seven methods"
runs=()
forget() {  # NAME, method and its options
  local name=$1
  shift
  run "${launch[@]}" "$expunge" unlearn --config configs/demo-unlearn.cfg --method "$@" --output-dir "demo/$name"
  measure "demo/$name" "demo/$name/eval.h5" "demo/$name/mia.h5" --compare demo/before.h5
  runs+=("demo/$name")
}
forget gradient_ascent gradient_ascent
forget random_label random_label
forget adversarial random_label --top-k 1 --rm-groundtruth --learning-rate 5e-4 # its labels are near the texts: it moves slowly
forget ascent_descent ascent_plus_descent
forget ascent_descent_general ascent_plus_descent --general
forget ascent_kl ascent_plus_kl_divergence
forget ascent_kl_general ascent_plus_kl_divergence --general

step "6. Compare"
# What step 3 trained on: the report says how many times less forgetting costs than that again.
pretraining_tokens=$(h5dump -y -d /train/tokens demo/base/metrics.h5 | sed -n '/DATA {/,/}/p' |
  awk -F'[^0-9]+' '{ for (i = 1; i <= NF; ++i) sum += $i } END { print sum }')
run "$expunge" report "${runs[@]}" --before demo/before.h5 --before demo/mia-before.h5 --title "Expunge: the demo" \
  --pretraining-tokens "$pretraining_tokens" --output demo/report.html --overwrite

cat <<'TEXT'

How to read it: perplexity is the number of words, so to speak, between which the model hesitates at every step; 1 is "knows
by heart". papers/forget had to go: each run ends when the model finds it as hard as it found papers/approximate before, texts
of the same kind that it never saw (the goal). What should have stayed costs "retained perplexity": 1 is unharmed. The front
is the runs that no other beats in both. "Strongest AUC" is the chance that an attacker's score puts a text of papers/forget
above one of papers/approximate: 0.5 would be a model that never saw either. It looks at the order alone, and stays at 1.000
for most methods: 24 passes put the known texts so far ahead that their perplexity can rise seven-fold, while the run raises
that of papers/approximate as well, before any change places.
TEXT
echo "The whole report: $PWD/demo/report.html"
