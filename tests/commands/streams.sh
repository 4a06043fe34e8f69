#!/usr/bin/env bash
# Results that cannot be written: a full or closed standard output, a reader that is gone, a limit on file sizes. Exit code 4, a
# message that names the place, and nothing left behind. A log that cannot be written ends nothing.
source "$(dirname "$0")/common.sh" "$@"

scored=(--model model --tokens tokens.h5 --domain papers --overwrite)
run=("$expunge" "${train[@]}" --save-steps 1 --max-steps 3)
# Opens stream 3 for writing to a pipe whose reader is gone.
without_a_reader() {
  mkfifo pipe
  true <pipe &
  exec 3>pipe
  wait
}

# What prints results.
printing() { # calls its arguments with each command
  "$@" --help
  "$@" --version
  "$@" help eval
  "$@" inspect run
  "$@" verify run
  "$@" plan --model model --world 2 --device cpu --memory-per-rank 4GB
  "$@" eval "${scored[@]}" --output results/eval.h5 --print-config
  "$@" eval "${scored[@]}" --output results/eval.h5
  "$@" mia "${scored[@]}" --output results/mia.h5
  "$@" task --model model --tasks tasks.jsonl --output results/task.h5 --overwrite
  "$@" report run --output results/report.html --overwrite
}

to_full() { expect_exit 4 "error: standard output: .*No space left" bash -c '"$@" 2>&1 >/dev/full' bash "$expunge" "$@"; }
to_nobody() { expect_exit 4 "error: standard output: .*it is closed" bash -c '"$@" 2>&1 >&-' bash "$expunge" "$@"; }

# A limit on the size of files.
limited() { # BLOCKS COMMAND...
  local blocks=$1
  shift
  bash -c "ulimit -f $blocks; exec \"\$@\"" bash "$@" 2>&1 | cat
  return "${PIPESTATUS[0]}"
}
# too_large BLOCKS NAME COMMAND...: exit code 4, the file's name, and no file that was not there.
too_large() {
  find . ! -name out.txt | sort >../before.txt
  expect_exit 4 "$2.*(File too large|limit on file sizes)" limited "$1" "$expunge" "${@:3}"
  find . ! -name out.txt | sort >../after.txt
  diff ../before.txt ../after.txt || die "left behind"
}

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 2 --output-dir run --quiet
  "$expunge" export --checkpoint run --output-dir model --quiet
  echo '{"prompt": "a"}' >prompts.jsonl
  echo '{"question": "q", "choices": ["a", "b"], "answer": 0, "subject": "s"}' >tasks.jsonl
  mkdir results
}

case_closed_and_full_outputs() {
  printing to_full
  printing to_nobody
  [[ -z $(find . -name '*.tmp') ]] || die "left behind: $(find . -name '*.tmp')"
  # Results in files are whole all the same.
  for file in eval mia task; do "$expunge" inspect results/$file.h5 >out.txt || die "$file.h5 is not whole"; done
  without_a_reader
  expect_exit 4 "error: standard output: .*Broken pipe" bash -c '"$@" 2>&1 >&3' bash "$expunge" inspect run
  # With no stream at all, the files that a command opens do not take their numbers.
  bash -c '"$@" <&- >&- 2>&-' bash "$expunge" eval "${scored[@]}" --output results/eval.h5 && die "printing on a closed stream is fine"
  "$expunge" eval "${scored[@]}" --output again.h5 --quiet >/dev/null
  same_results results/eval.h5 again.h5 || die "eval.h5 is another one without standard streams"
}

# A log that nobody can read.
case_logs_that_nobody_reads() {
  without_a_reader
  for log in '2>/dev/full' '2>&-' '2>&3'; do
    bash -c "\"\$@\" $log" bash "$expunge" "${train[@]}" --max-steps 3 --logging-steps 1 --output-dir unheard || die "training with $log"
    bash -c "\"\$@\" $log" bash "$expunge" tokenize --tokenizer init --data texts --output log.h5 || die "tokenizing with $log"
    rm -r log.h5 unheard
    echo "ok: a log to $log"
  done
}

case_file_size_limits() {
  mkdir place && cd place
  for input in init model run texts tokens.h5 prompts.jsonl tasks.jsonl; do ln -s ../$input .; done
  too_large 8 "new.h5" tokenize --tokenizer init --data texts --output new.h5 --max-length 64
  too_large 8 "eval.h5" eval "${scored[@]}" --output eval.h5
  too_large 8 "mia.h5" mia "${scored[@]}" --output mia.h5
  too_large 4 "task.h5" task --model model --tasks tasks.jsonl --output task.h5
  too_large 0 "out.jsonl" generate --model model --prompts prompts.jsonl --max-new-tokens 3 --output out.jsonl
  too_large 1 "out.jsonl.expunge.json" generate --model model --prompts prompts.jsonl --max-new-tokens 3 --output out.jsonl
  too_large 0 "plan.sh" plan --model model --world 2 --device cpu --memory-per-rank 4GB --sbatch plan.sh
  too_large 8 "exported.*safetensors" export --checkpoint run --output-dir exported
  for blocks in 0 4; do too_large $blocks "(report|/tmp)" report run --output report.html; done
  too_large 40 "report" report run --output report.html
  cd ..
}

# A run keeps its checkpoints; what lies outside of it is named, too.
case_file_size_limits_of_runs() {
  expect_exit 4 "checkpoint of step 1 was not written: .*shard.*File too large" limited 400 "${run[@]}" --output-dir small
  [[ -z $(ls -A small/checkpoints) ]] || die "left behind: $(ls -A small/checkpoints)"
  logged=("$expunge" "${train[@]}" --max-steps 20 --save-steps 1 --logging-steps 1 --log-jsonl long.jsonl --output-dir logged)
  "${logged[@]}" --quiet
  rm -r logged/checkpoints/step-0000{02..20} # the run goes on after step 1, with a log that nearly fills its limit
  head -n 1 long.jsonl >filled.jsonl
  filler="{\"step\": 1, \"run\": $(jq .run filled.jsonl), \"note\": \"these lines fill the file up to the limit on its size\"}"
  for ((i = 0; i < 12000; ++i)); do echo "$filler"; done >>filled.jsonl
  cat filled.jsonl >long.jsonl
  blocks=$((($(stat -c %s long.jsonl) + 1023) / 1024))
  expect_exit 4 "cannot write long.jsonl: File too large" limited $blocks "${logged[@]}"
}

# On ranks, of which one alone has the limit: its failure ends all.
case_on_ranks() {
  expect_exit 4 "rank 0 of 2: .*eval.h5.*File too large" ranks 2 bash -c \
    '[[ $OMPI_COMM_WORLD_RANK != 0 ]] || ulimit -f 8; exec "$@"' bash "$expunge" eval "${scored[@]}" --output results/eval.h5
  expect_exit 4 "checkpoint of step 1 was not written: rank 1.*File too large" ranks 2 bash -c \
    '[[ $OMPI_COMM_WORLD_RANK == 0 ]] || ulimit -f 200; exec "$@"' bash "${run[@]}" --output-dir ranks
  [[ -z $(ls -A ranks/checkpoints) ]] || die "left behind: $(ls -A ranks/checkpoints)"
  expect_exit 4 "rank 0 of 2: standard output: .*it is closed" ranks 2 bash -c 'exec "$@" >&-' bash "$expunge" eval "${scored[@]}" \
    --output results/eval.h5
  expect_exit 0 "^papers/forget" ranks 2 bash -c 'exec "$@" 2>&-' bash "$expunge" eval "${scored[@]}" --output results/eval.h5
}

run_case
