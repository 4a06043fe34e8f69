# The demo's model: a tokenizer, tokens and a small Llama that knows the texts by heart, made in demo/ of the current folder.
# Sourced by demo.sh and a test, with `expunge` (the executable) and `root` (the clone) set.
# shellcheck shell=bash disable=SC2154

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
  cat "$root"/data/corpus/*/forget.jsonl "$root"/data/corpus/*/retain.jsonl | jq -r '.text // .content' >demo/texts.txt
  run spm_train --input=demo/texts.txt --model_prefix=demo/model-init.part/tokenizer --model_type=bpe --vocab_size=1536 \
    --byte_fallback=true --character_coverage=1.0 --split_digits=true --add_dummy_prefix=true \
    --normalization_rule_name=identity --remove_extra_whitespaces=false --allow_whitespace_only_pieces=true \
    --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 --minloglevel=1
  cp "$root/data/demo/config.json" "$root/data/demo/tokenizer_config.json" demo/model-init.part/
  mv demo/model-init.part demo/model-init
fi

step "2. Cut the texts into sequences of at most 256 tokens"
if [ ! -f demo/tokens.h5 ]; then
  run "$expunge" tokenize --tokenizer demo/model-init --data "$root/data/corpus" --output demo/tokens.h5 --max-length 256
fi

step "3. Train a Llama of 0.9 million parameters until it knows the texts by heart ($ranks ranks)"
run "${launch[@]}" "$expunge" train --config "$root/configs/demo-train.cfg"
