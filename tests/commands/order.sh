#!/usr/bin/env bash
# Every output is created, written, flushed, renamed, and its folder flushed, in this order of system calls.
source "$(dirname "$0")/common.sh" "$1"
if ! command -v strace >/dev/null || ! strace -o /dev/null true 2>/dev/null; then
  echo "skipped: no strace, or it may not trace here"
  exit 0
fi
work=$(pwd -P)
make_inputs
"$expunge" "${train[@]}" --learning-rate 1e-3 --quiet --max-steps 1 --output-dir run
"$expunge" export --checkpoint run --output-dir model --quiet
"$expunge" eval --model model --tokens tokens.h5 --domain papers --output run/eval.h5 --quiet
echo '{"prompt": "The paper"}' >prompts.jsonl
echo '{"question": "Is it?", "choices": ["yes", "no"], "answer": 0, "subject": "s"}' >tasks.jsonl

# order OUTPUT: the calls of the last trace made OUTPUT, a file or a folder, in order.
order() {
  awk -v output="$work/$1" -v folder="$(dirname "$work/$1")" '
    # The path of the open file that a call names first, as strace -y shows it.
    function file(line) { match(line, /<[^>]*>/); return substr(line, RSTART + 1, RLENGTH - 2) }
    function complain(what) { print "FAILED: " output ": " what > "/dev/stderr"; failed = 1; exit 1 }
    / (write|pwrite64|writev)\(/ && file($0) !~ /\/[.]lock$/ { dirty[file($0)] = 1; written[file($0)] = 1 }
    / (fsync|fdatasync)\(/ { delete dirty[file($0)]; flushed[file($0)] = 1; if (renamed && file($0) == folder) done = 1 }
    / (rename|renameat|renameat2)\(.* = 0$/ {
      split($0, quoted, "\"")
      from = quoted[2]; to = quoted[4]
      if (from !~ /^\//) from = work "/" from
      if (to !~ /^\//) to = work "/" to
      gsub("/[.]/", "/", from); gsub("/[.]/", "/", to)
      for (path in dirty)
        if (path == from || index(path, from "/") == 1) complain(path " was not flushed before " to " was renamed")
      if (to == output) {
        renamed = 1
        if (!(from in flushed)) complain("its temporary, " from ", was not flushed")
      }
      # What was in a renamed folder is known by its new name.
      for (path in written) if (index(path, from "/") == 1) written[to substr(path, length(from) + 1)] = 1
    }
    END { if (!failed && !renamed) { print "FAILED: " output ": never renamed into place" > "/dev/stderr"; exit 1 }
          if (!failed && !done) { print "FAILED: " output ": the folder was not flushed afterwards" > "/dev/stderr"; exit 1 } }
  ' work="$work" trace.txt || die "order of calls"
  echo "ok: $1"
}
trace() { strace -f -y -e trace=openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2 -o trace.txt "$expunge" "$@" >/dev/null 2>&1; }

trace tokenize --tokenizer init --data texts --output out.h5 --max-length 64
order out.h5
trace eval --model model --tokens tokens.h5 --domain papers --output eval.h5
order eval.h5
trace mia --model model --tokens tokens.h5 --domain papers --output mia.h5
order mia.h5
trace task --model model --tasks tasks.jsonl --output task.h5
order task.h5
trace generate --model model --prompts prompts.jsonl --max-new-tokens 2 --output text.jsonl
order text.jsonl.expunge.json
order text.jsonl
trace export --checkpoint run --output-dir exported
order exported
grep -q "rename.*expunge.json" trace.txt || die "the export has no record"
[[ $(grep -n 'expunge.json"' trace.txt | grep rename | head -n 1 | cut -d: -f 1) -lt $(grep -n '/exported")' trace.txt | grep rename | tail -n 1 | cut -d: -f 1) ]] ||
  die "the export is live before its record"
trace plan --model model --world 1 --device cpu --memory-per-rank 4GB --sbatch plan.sbatch
order plan.sbatch
trace report run --output report.html
order report.md
order report.html
trace unlearn --model model --tokens tokens.h5 --domain papers --method random_label --max-steps 1 --output-dir new --save-labels labels.h5
for file in .expunge-run config model/config.json labels.h5 metrics.h5 checkpoints/step-000001; do order new/$file; done
order labels.h5
[[ $(grep -n 'rename.*/.expunge-run"' trace.txt | head -n 1 | cut -d: -f 1) -lt $(grep -n 'rename.*new/config"' trace.txt | head -n 1 | cut -d: -f 1) ]] ||
  die "the run folder was written before its mark"
echo passed
