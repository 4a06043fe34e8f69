#!/usr/bin/env bash
# The converter of Parquet: every type of text, rows without one, and nothing left behind by what goes wrong. Skipped (77) where
# no Python with pyarrow is there: ${PYTHON:-python3}.
source "$(dirname "$0")/common.sh" "$1"
python=${PYTHON:-python3}
converter=$root/data/parquet_to_jsonl.py

# What has the name of a Parquet file alone is named without pyarrow, too (-S leaves out installed packages).
mkdir -p mistaken/papers
mistaken() { cat >mistaken/papers/forget.parquet; expect_exit 1 "papers/forget.parquet: expected a Parquet file, found $1" "$python" -S "$converter" mistaken out-bad; }
mistaken "a Git LFS pointer, .*git lfs pull" <<<$'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 10'
mistaken "an HTML page" <<<'<!DOCTYPE html><html>'
mistaken "an empty one .0 bytes." </dev/null
[[ ! -e out-bad ]] || die "$(find out-bad) is left"
printf PAR1 >mistaken/papers/forget.parquet
expect_exit 1 "pyarrow is missing" "$python" -S "$converter" mistaken out-bad

"$python" -c "import pyarrow.parquet" 2>/dev/null || { echo "skipped: $python has no pyarrow"; exit 77; }

# parquet FILE COLUMNS...: a table of Arrow's types, written by a Python expression for each column.
parquet() {
  mkdir -p "$(dirname "$1")"
  "$python" - "$@" <<'PYTHON'
import sys
import pyarrow as pa
import pyarrow.parquet
words = ["one", None, "", "  ", "zwei \U0001f600"]
columns = [column.split("=", 1) for column in sys.argv[2:]]
pa.parquet.write_table(pa.table([eval(value) for _, value in columns], names=[name for name, _ in columns]), sys.argv[1])
PYTHON
}
fails() { expect_exit 1 "$1" "$python" "$converter" "${2:-bad}" "${3:-out-bad}"; [[ ! -e out-bad ]] || die "$(find out-bad) is left"; }

# Every type gives the same lines; nulls are left out and counted, blanks are the tokenizer's to drop.
n=0
for type in 'pa.string()' 'pa.large_string()' 'pa.string_view()' 'pa.dictionary(pa.int32(), pa.string())' \
  'pa.dictionary(pa.int8(), pa.large_string())' 'pa.binary()' 'pa.large_binary()' 'pa.dictionary(pa.int32(), pa.binary())'; do
  if [[ $type == *binary* ]]; then values='[None if w is None else w.encode() for w in words]'; else values=words; fi
  if [[ $type == *dictionary* ]]; then
    inner=${type#*, } ; values="pa.array($values, ${inner%)}).dictionary_encode()"
  else
    values="pa.array($values, $type)"
  fi
  parquet "types/d$n/forget.parquet" "text=$values" 'number=pa.array(range(5))'
  n=$((n + 1))
done
"$python" "$converter" types out >counts.txt
[[ $(grep -c "forget.jsonl: 4 rows, 1 without a text left out" counts.txt) == "$n" ]] || { cat counts.txt; die "counts"; }
printf '%s\n' '{"text": "one"}' '{"text": ""}' '{"text": "  "}' $'{"text": "zwei \U0001f600"}' >wanted.jsonl
for ((i = 0; i < n; ++i)); do cmp "out/d$i/forget.jsonl" wanted.jsonl || die "type $i"; done
[[ $(find out -mindepth 1 | wc -l) == $((2 * n)) ]] || die "$(find out)"
make_inputs
"$expunge" tokenize --tokenizer init --data out --output converted.h5 --max-length 64 --quiet || die "what was converted is refused"

# A null decides in the column that tokenize reads; bytes of another name are no text; shards come in order.
parquet "two/d/retain-00000-of-00002.parquet" 'title=pa.array(["a", "b"])' 'content=pa.array(["x", None])' 'image=pa.array([b"\xff", b"\xff"])'
parquet "two/d/retain-00001-of-00002.parquet" 'title=pa.array([None], pa.string())' 'content=pa.array(["y"])'
"$python" "$converter" two out-two | grep -q "2 rows, 1 without" || die "the null of content"
printf '%s\n' '{"title": "a", "content": "x"}' '{"title": null, "content": "y"}' | cmp - out-two/d/retain.jsonl || die "columns"
parquet "none/d/retain.parquet" 'text=pa.nulls(3)'
"$python" "$converter" none out-none | grep -q "0 rows, 3 without" || die "a column of nulls"
"$python" "$converter" none none >/dev/null && [[ -f none/d/retain.jsonl ]] || die "side by side"

# What is wrong is named, and nothing is left: no folder, no temporary file, no split that was done before.
expect_exit 1 "out-two/d/retain.jsonl exists already" "$python" "$converter" two out-two
cmp <(printf '%s\n' '{"title": "a", "content": "x"}' '{"title": null, "content": "y"}') out-two/d/retain.jsonl || die "replaced"
parquet "bad/a/good.parquet" 'text=pa.array(words)'
parquet "bad/b/forget.parquet" 'label=pa.array([1])' 'body=pa.array([["a"]])'
fails 'bad/b/forget.parquet: expected a column of text, found the columns label \(int64\), body \(list<'
parquet "bad/b/forget.parquet" 'text=pa.array([b"\xff"])'
fails "bad/b/forget.parquet: column 'text', rows 0 to 0: expected UTF-8"
parquet "bad/b/forget.parquet" 'text=pa.array(["a"])' 'text=pa.array(["b"])'
fails "bad/b/forget.parquet: expected each column once, found 'text' 2 times"
echo "PAR1 no table PAR1" >bad/b/forget.parquet
fails "bad/b/forget.parquet: expected a Parquet file"
rm -r bad/b
parquet "bad/b/forget-00001-of-00002.parquet" 'text=pa.array(words)'
fails "bad/b: expected one file or all shards of the split, found forget-00001-of-00002.parquet"
fails "nowhere: expected <domain>/<split>.parquet, found none" nowhere
echo >file
fails "file: expected a folder, found a file" two file
[[ $(ls -A bad) == "a"$'\n'"b" ]] || die "$(ls -A bad)"

# A signal ends it at any time, and leaves the folder as it was.
parquet "large/d/forget.parquet" 'text=pa.array(["some words of a text"] * 2_000_000)'
mkdir out-large && echo mine >out-large/file
for signal in INT TERM HUP; do
  # bash lets background commands ignore INT.
  "$python" -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$(command -v "$python")" "$converter" large out-large 2>signal.txt &
  while [[ $(find out-large -size +16k | wc -l) == 0 ]]; do kill -0 $! 2>/dev/null || die "ended early"; sleep 0.05; done
  kill -s "$signal" $!
  found=0; wait $! || found=$?
  [[ $found == $((128 + $(kill -l "$signal"))) ]] || die "exit $found by $signal"
  grep -q "ended by signal .*nothing was written" signal.txt || die "$(cat signal.txt)"
  [[ $(ls -A out-large) == file ]] || die "$signal leaves $(find out-large)"
done
echo passed
