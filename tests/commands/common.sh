# What the scripts share: running one of their cases, a work folder with tokens and a small model, and checks that name what failed.
# Every script: SCRIPT EXPUNGE [CASE] runs one case, without CASE all but the long ones, each in a process and a folder of its own.
# A case is a function case_NAME or long_case_NAME; a script with none is one case. CTest has an entry for each.
set -Eeuo pipefail
trap 'echo "FAILED: ${BASH_SOURCE[0]##*/}, line $LINENO: $BASH_COMMAND" >&2' ERR
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
# --dtype follows the processor; what is compared here is float32 everywhere unless a script says otherwise.
export ONEDNN_MAX_CPU_ISA=AVX2
expunge=$(realpath "$1")
chosen=${2:-}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [[ -z $chosen ]] && grep -q '^case_.*() {' "$0"; then
  failed=()
  for name in $(sed -nE 's/^case_([a-z0-9_]+)\(\) \{.*/\1/p' "$0"); do
    "$0" "$expunge" "$name" || [[ $? == 77 ]] || failed+=("$name")
  done
  [[ ${#failed[@]} == 0 ]] || { echo "FAILED: ${0##*/}, cases ${failed[*]}" >&2; exit 1; }
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# run_case: the last line of a script with cases. What its function set_up makes is there first. CTest makes it once for all cases,
# in the folder EXPUNGE_SET_UP, as the case "set_up", and each case takes a copy.
run_case() {
  if [[ $chosen == set_up ]]; then
    rm -rf "$EXPUNGE_SET_UP"
    mkdir -p "$EXPUNGE_SET_UP"
    cd "$EXPUNGE_SET_UP"
    set_up
  else
    if [[ -n ${EXPUNGE_SET_UP:-} ]]; then cp -a "$EXPUNGE_SET_UP/." .; elif declare -F set_up >/dev/null; then set_up; fi
    if declare -F "case_$chosen" >/dev/null; then "case_$chosen"; else "long_case_$chosen"; fi
  fi
  echo "passed: $chosen"
}

ranks() { local n=$1; shift; mpirun -n "$n" --oversubscribe --bind-to none "$@"; }
die() { echo "FAILED: ${0##*/}${chosen:+, case $chosen}: $*" >&2; exit 1; }

# expect_exit CODE PATTERN COMMAND...: the command returns CODE and says PATTERN (grep -E) exactly where a user reads it.
expect_exit() {
  local code=$1 pattern=$2 found=0
  shift 2
  "$@" >out.txt 2>&1 || found=$?
  [[ $found == "$code" ]] || { cat out.txt >&2; die "exit $found instead of $code: $*"; }
  grep -qE -- "$pattern" out.txt || { cat out.txt >&2; die "no '$pattern' from: $*"; }
  echo "ok: exit $code: $pattern"
}

# job_ends CODE WHEN: the job in the background, $job, ends with CODE; log.txt holds what it said.
job_ends() {
  local code=0
  wait "$job" || code=$?
  [[ $code == "$1" ]] || { cat log.txt >&2; die "exit $code ${*:2}"; }
}

# same_parameters CHECKPOINT CHECKPOINT: weights and moments are equal bit by bit.
same_parameters() {
  for group in parameters exp_avg exp_avg_sq; do
    h5diff "$1/checkpoint.h5" "$2/checkpoint.h5" "/$group" || return 1
  done
}

# same_results FILE FILE [OPTIONS OF h5diff]: the same groups hold the same figures. What the root says, such as when a file was
# written and by which options, may differ.
same_results() {
  local one=$1 other=$2 object
  shift 2
  [[ $(h5ls "$one") == "$(h5ls "$other")" ]] || return 1
  h5ls "$one" | while read -r object _; do h5diff "$@" "$one" "$other" "/$object" || exit 1; done
}

# attribute FILE OBJECT NAME: the value of a numeric attribute.
attribute() { h5dump -a "$2/$3" "$1" | sed -nE 's/^ *\(0\): (.*)$/\1/p'; }

# Tokens of the first documents of the corpus, a tokenizer for them, and the configuration of a tiny Llama.
make_inputs() {
  mkdir -p texts/papers texts/general init
  for split in forget approximate retain; do head -n 12 "$root/data/corpus/papers/$split.jsonl" >"texts/papers/$split.jsonl"; done
  head -n 12 "$root/data/corpus/general/evaluation.jsonl" >texts/general/evaluation.jsonl
  cat texts/*/*.jsonl >all.txt
  spm_train --input=all.txt --model_prefix=init/tokenizer --model_type=bpe --vocab_size=400 --byte_fallback=true \
    --character_coverage=1.0 --minloglevel=2 2>spm.log || { cat spm.log >&2; die "spm_train"; }
  cat >init/tokenizer_config.json <<'JSON'
{"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", "eos_token": "</s>",
 "unk_token": "<unk>", "legacy": true}
JSON
  cat >init/config.json <<'JSON'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 88,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 400, "rms_norm_eps": 1e-5,
 "hidden_act": "silu", "torch_dtype": "float32", "tie_word_embeddings": false, "initializer_range": 0.05}
JSON
  "$expunge" tokenize --tokenizer init --data texts --output tokens.h5 --max-length 64 --quiet
}

train=(train --init-config init/config.json --tokens tokens.h5 --split papers/forget --split papers/retain
       --global-batch-size 6)
