#!/usr/bin/env bash
# The demo: a small Llama learns invented texts by heart, then forgets some of them. Usage: data/demo.sh [EXPUNGE]
# Everything it makes lies in demo/. Stopped and started again, it goes on where it was; `make clean` makes it start afresh.
set -euo pipefail
cd "$(dirname "$0")/.."

expunge=${1:-build/expunge}
ranks=2
# Where there are fewer cores than ranks, Open MPI wants to be told that this is meant; as root (in a container), twice.
launch=(mpirun -n "$ranks" --oversubscribe --bind-to none)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

step() { printf '\n== %s\n' "$1"; }
run() {
  printf '$ %s\n' "$*"
  "$@"
}

step "1. Train a tokenizer of 1536 pieces on the training texts"
if [ ! -d demo/model-init ]; then
  rm -rf demo/model-init.part
  mkdir -p demo/model-init.part
  cat data/corpus/*/forget.jsonl data/corpus/*/retain.jsonl | jq -r '.text // .content' >demo/texts.txt
  run spm_train --input=demo/texts.txt --model_prefix=demo/model-init.part/tokenizer --model_type=bpe --vocab_size=1536 \
    --byte_fallback=true --character_coverage=1.0 --split_digits=true --add_dummy_prefix=true \
    --normalization_rule_name=identity --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 --minloglevel=1
  cp data/demo/config.json data/demo/tokenizer_config.json demo/model-init.part/
  mv demo/model-init.part demo/model-init
fi

step "2. Cut the texts into sequences of at most 256 tokens"
if [ ! -f demo/tokens.h5 ]; then
  run "$expunge" tokenize --tokenizer demo/model-init --data data/corpus --output demo/tokens.h5 --max-length 256
fi

step "3. Train a Llama of 0.9 million parameters until it knows the texts by heart ($ranks ranks)"
run "${launch[@]}" "$expunge" train --config data/demo/train.cfg

step "4. Measure it: perplexity and accuracy, and who can tell what it was trained on"
measure() {  # MODEL, FILE of evaluation, FILE of membership inference, perhaps --compare FILE
  "${launch[@]}" "$expunge" eval --config data/demo/eval.cfg --domain papers --split forget --split approximate --split retain \
    --split code/retain --split people/retain --split general/evaluation --model "$1" --output "$2" "${@:4}" --overwrite --quiet
  "${launch[@]}" "$expunge" mia --config data/demo/eval.cfg --domain papers --model "$1" --output "$3" --overwrite --quiet >demo/mia.txt
}
measure demo/base demo/before.h5 demo/mia-before.h5

step "5. Make it forget papers/forget, by each of the study's seven methods"
runs=()
forget() {  # NAME, method and its options
  local name=$1
  shift
  run "${launch[@]}" "$expunge" unlearn --config data/demo/unlearn.cfg --method "$@" --output-dir "demo/$name"
  measure "demo/$name" "demo/$name/eval.h5" "demo/$name/mia.h5" --compare demo/before.h5
  runs+=("demo/$name")
}
forget gradient_ascent gradient_ascent
forget random_label random_label
forget adversarial random_label --top-k 1 --rm-groundtruth
forget ascent_descent ascent_plus_descent
forget ascent_descent_general ascent_plus_descent --general
forget ascent_kl ascent_plus_kl_divergence
forget ascent_kl_general ascent_plus_kl_divergence --general

step "6. Compare"
run "$expunge" report "${runs[@]}" --before demo/before.h5 --before demo/mia-before.h5 --title "Expunge: the demo" \
  --output demo/report.html --overwrite

cat <<'TEXT'

How to read it: perplexity is the number of words, so to speak, between which the model hesitates at every step; 1 is "knows
by heart". papers/forget had to go: each run ends when the model finds it as hard as it found papers/approximate before, texts
of the same kind that it never saw (the goal). What should have stayed costs "retained perplexity": 1 is unharmed. The front
is the runs that no other beats in both.
TEXT
echo "The whole report: $PWD/demo/report.html"
