#!/usr/bin/env bash
# What a command is started in: a working folder that was removed, names that are too long, too little memory. None of it is an
# internal error (1), and the message says what to do.
source "$(dirname "$0")/common.sh" "$@"

# A working folder that was removed matters to relative paths alone.
nowhere() { bash -c 'mkdir gone && cd gone && rmdir ../gone && exec "$@"' bash "$@"; }
commands() { # CALL PREFIX-OF-PATHS: calls CALL with each command
  local call=$1 at=$2 scored=(--model "$2model" --tokens "$2tokens.h5" --domain papers --quiet)
  $call inspect "${at}run"
  $call verify "${at}run"
  $call plan --model "${at}model" --world 2 --device cpu --memory-per-rank 4GB --sbatch "${at}plan.sh" --overwrite
  $call eval "${scored[@]}" --output "${at}run/eval.h5"
  $call mia "${scored[@]}" --output "${at}run/mia.h5"
  $call task --model "${at}model" --tasks "${at}tasks.jsonl" --output "${at}run/task.h5" --quiet
  $call generate --model "${at}model" --prompts "${at}prompts.jsonl" --max-new-tokens 3 --output "${at}out.jsonl" --quiet
  $call report "${at}run" --output "${at}report.html" --quiet
  $call export --checkpoint "${at}run" --output-dir "${at}exported" --quiet
  $call tokenize --tokenizer "${at}init" --data "${at}texts" --output "${at}new.h5" --quiet
  $call train --init-config "${at}init/config.json" --tokens "${at}tokens.h5" --split papers/forget --max-steps 1 --quiet \
    --output-dir "${at}new"
}

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 1 --output-dir run --quiet
  "$expunge" export --checkpoint run --output-dir model --quiet
  echo '{"prompt": "a"}' >prompts.jsonl
  echo '{"question": "q", "choices": ["a", "b"], "answer": 0, "subject": "s"}' >tasks.jsonl
}

case_a_removed_working_folder() {
  works_nowhere() { nowhere "$expunge" "$@" >out.txt 2>&1 || { cat out.txt >&2; die "in a folder that was removed: $*"; }; }
  commands works_nowhere "$work/"
  fails_nowhere() {
    local code=0
    nowhere "$expunge" "$@" >out.txt 2>&1 || code=$?
    [[ $code == [234] ]] && grep -q "expunge: error: " out.txt && ! grep -q "filesystem error" out.txt ||
      { cat out.txt >&2; die "exit $code for a relative path in a folder that was removed: $*"; }
  }
  commands fails_nowhere ""
  expect_exit 2 "model: a relative path, and the working folder is gone .*; go to a folder that is there, or give absolute paths" \
    nowhere "$expunge" eval --model model --tokens "$work/tokens.h5" --domain papers --output "$work/x.h5"
}

# Names that are too long: never the code of a bug, and the reason is said.
case_long_names() {
  long=$(printf 'x%.0s' {1..300})
  too_long() {
    local code=0
    "$expunge" "$@" >out.txt 2>&1 || code=$?
    [[ $code == [234] ]] && grep -qE "File name too long|cannot be read|there is no folder" out.txt ||
      { cat out.txt >&2; die "exit $code for a long name: ${*//$long/LONG}"; }
  }
  for name in "$long" "$(printf 'folder/%.0s' {1..700})file"; do
    commands too_long "$name/"
    commands too_long "$work/$name/"
    too_long eval --model model --tokens tokens.h5 --domain papers --output "$name"
    too_long eval --model model --tokens tokens.h5 --domain papers --output e.h5 --compare "$name"
    too_long unlearn --model model --tokens tokens.h5 --domain papers --method random_label --output-dir x --save-labels "$name"
  done
  expect_exit 3 "x...: File name too long: a name may have 255 bytes and a path 4095; give a shorter one" "$expunge" inspect "$long"
}

# A model that is larger than the memory that the process may take.
case_short_of_memory() {
  jq '.hidden_size = 4096 | .intermediate_size = 11008 | .num_hidden_layers = 8 | .num_attention_heads = 32
    | .num_key_value_heads = 32' init/config.json >large.json
  short_of_memory() { bash -c 'ulimit -v 2000000; exec "$@"' bash "$@"; }
  if ! short_of_memory "$expunge" --version >out.txt 2>&1; then
    echo "skipped: this build does not start in 2 GB of address space (a sanitizer?)"
    exit 0
  fi
  large=("$expunge" train --init-config large.json --tokens tokens.h5 --split papers/forget --max-steps 1)
  expect_exit 2 "out of memory: allow more .*, start more ranks" short_of_memory "${large[@]}" --output-dir large
  expect_exit 2 "rank [01] of 2: out of memory: allow more .*, start more ranks" ranks 2 bash -c 'ulimit -v 2000000; exec "$@"' bash \
    "${large[@]}" --output-dir large
}

run_case
