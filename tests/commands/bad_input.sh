#!/usr/bin/env bash
# Bad input: each kind has its message and exit code, and loses nothing.
source "$(dirname "$0")/common.sh" "$@"

eval=("$expunge" eval --tokens tokens.h5 --domain papers --output eval.h5)
broken() { rm -rf broken && cp -r model broken; }

bad_text() { rm -rf bad && mkdir -p bad/papers && cat >bad/papers/forget.jsonl; }
tokenize=("$expunge" tokenize --tokenizer init --data bad --output bad.h5)

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 1 --output-dir base --quiet
  "$expunge" export --checkpoint base --output-dir model --quiet
}

case_model_files() {
  broken && truncate -s -100 broken/model.safetensors
  expect_exit 3 "model.safetensors.*truncated" "${eval[@]}" --model broken
  broken && printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | dd of=broken/model.safetensors conv=notrunc status=none
  expect_exit 3 "header claims" "${eval[@]}" --model broken
  broken && sed -i 's/"hidden_size": 32/"hidden_size": 64/' broken/config.json
  expect_exit 3 "config.json says" "${eval[@]}" --model broken
  broken && sed -i 's/"num_hidden_layers": 2/"num_hidden_layers": 3/' broken/config.json
  expect_exit 3 "model.layers.2.*missing" "${eval[@]}" --model broken
  broken && sed -i 's/"vocab_size": 400/"vocab_size": 399/' broken/config.json
  expect_exit 3 "config.json says 399" "${eval[@]}" --model broken
  broken && echo '{' >broken/config.json
  expect_exit 3 "config.json" "${eval[@]}" --model broken
  broken && sed -i 's/"model_type": "llama"/"model_type": "gpt2"/' broken/config.json
  expect_exit 3 "gpt2.*not supported" "${eval[@]}" --model broken
  expect_exit 3 "neither a model folder" "${eval[@]}" --model texts
  expect_exit 3 "01-ai/Yi-6B: there is no such folder; .* download a model of the Hub first" "${eval[@]}" --model 01-ai/Yi-6B
}

case_texts() {
  bad_text <<<$'{"text": "fine"}\n{"text": oops}'
  expect_exit 3 "forget.jsonl.*line 2" "${tokenize[@]}"
  { printf '{"text": "'; head -c 4000000 /dev/zero | tr '\0' a; echo '", oops}'; } | bad_text
  expect_exit 3 "forget.jsonl, line 1: not valid JSON: .* at column 4000014.* near '.*aaaa\", oops" "${tokenize[@]}"
  [[ $(wc -c <out.txt) -lt 300 ]] || die "a long line is printed whole"
  bad_text <<<'{"body": "no such column"}'
  expect_exit 3 "'text' or 'content' .its columns: body" "${tokenize[@]}"
  expect_exit 0 "papers/forget: 1 document, 1 sequence, [0-9]+ tokens, 0 chunks dropped" "${tokenize[@]}" --text-column body && rm bad.h5
  bad_text </dev/null
  expect_exit 3 "forget" "${tokenize[@]}"
  bad_text <<<$'{"text": "\xff\xfe"}'
  expect_exit 3 "line 1.*UTF-8" "${tokenize[@]}"
  [[ ! -e bad.h5 ]] || die "a token file was left behind"
  mkdir no-tokenizer && cp init/tokenizer_config.json no-tokenizer/
  expect_exit 3 "tokenizer.model" "$expunge" tokenize --tokenizer no-tokenizer --data texts --output bad.h5
  expect_exit 4 "tokens.h5" "$expunge" tokenize --tokenizer init --data texts --output tokens.h5
}

case_refused_runs() {
  sed 's/"vocab_size": 400/"vocab_size": 50/' init/config.json >small.json
  expect_exit 3 "vocabulary" "$expunge" train --init-config small.json --tokens tokens.h5 --split papers/forget --output-dir small
  expect_exit 3 "papers/nothing" "$expunge" train --init-config init/config.json --tokens tokens.h5 --split papers/nothing --output-dir x
  head -c 3000 tokens.h5 >torn.h5
  expect_exit 3 "torn.h5" "$expunge" train --init-config init/config.json --tokens torn.h5 --split papers/forget --output-dir x
  expect_exit 2 "did you mean --learning-rate" "$expunge" "${train[@]}" --learning-rat 1 --output-dir x
  expect_exit 2 "gradient_ascent" "$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method forget_it --output-dir x
  expect_exit 4 "already there" "$expunge" export --checkpoint base --output-dir model
  expect_exit 4 "no run folder of expunge" "$expunge" "${train[@]}" --output-dir texts
  expect_exit 2 "global-batch-size 1000000000 exceeds 16777216" "$expunge" "${train[@]:0:7}" --global-batch-size 1000000000 --output-dir x
  expect_exit 3 "nowhere: not a checkpoint; expected auto, none, or a folder" "$expunge" "${train[@]}" --resume-from-checkpoint nowhere --output-dir x
  [[ ! -e x ]] || die "a refused run left a folder"
  expect_exit 4 "output-dir .*: holds .*step-000001, the input of --resume-from-checkpoint" "$expunge" "${train[@]}" --output-dir base --overwrite-output-dir \
    --resume-from-checkpoint "$(echo base/checkpoints/step-*)"
  cp tokens.h5 own.h5
  expect_exit 4 "own.h5: is the input of --[a-z-]+" "$expunge" eval --model base --tokens own.h5 --domain papers --output ./own.h5 --overwrite
  cmp tokens.h5 own.h5 || die "the input was overwritten"
  mkdir -p looping/papers && ln -s forget.jsonl looping/papers/forget.jsonl
  expect_exit 3 "forget.jsonl: Too many levels" "$expunge" tokenize --tokenizer init --data looping --output loop.h5
  for file in all.txt init/config.json; do
    expect_exit 3 "$file: cannot be shown; expected a run, checkpoint or model folder" "$expunge" inspect $file
  done
}

# A file that is another kind of file is called so by every reader, and an empty one empty.
case_other_kinds_of_files() {
  printf 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0\nsize 1044992\n' >pointer
  echo '<!doctype html><html lang=en>' >page
  gzip -c all.txt >packed
  iconv -f UTF-8 -t UTF-16LE init/config.json >wide
  : >empty
  for kind in "pointer:a Git LFS pointer" "page:an HTML page" "packed:compressed by gzip" "wide:UTF-16LE text" "empty:empty \(0 bytes\)"; do
    file=${kind%%:*}
    said="$file: it is ${kind#*:}"
    expect_exit 2 "--config: $said" "$expunge" train --config $file
    expect_exit 3 "$said" "$expunge" "${train[@]}" --sample-order $file --output-dir x
    expect_exit 3 "$said" "$expunge" inspect $file
    expect_exit 3 "$said" "$expunge" verify $file
    expect_exit 3 "$file: it is not a folder; expected a model folder" "${eval[@]}" --model $file
    rm -rf bad && mkdir -p bad/papers && cp $file bad/papers/forget.jsonl.gz
    [[ $file == packed ]] || expect_exit 3 "forget.jsonl.gz: it is ${kind#*:}" "${tokenize[@]}"
  done
}

# An output that cannot be is refused before anything is read.
case_impossible_outputs() {
  for command in eval mia; do
    expect_exit 4 "/proc/x: cannot be written" "$expunge" $command --tokens none --domain papers --model none --output /proc/x
  done
  expect_exit 4 "/proc/x: cannot be written" "$expunge" generate --model none --prompts none --max-new-tokens 1 --output /proc/x
  expect_exit 4 "rank 0 of 2: /proc/x: cannot be written" ranks 2 "$expunge" task --model none --tasks none --output /proc/x
  expect_exit 4 "/proc/x: cannot be written" "$expunge" tokenize --tokenizer init --data texts --output /proc/x
  expect_exit 4 "/proc/x: cannot be written" "$expunge" export --checkpoint none --output-dir /proc/x
  expect_exit 4 "/proc/x: cannot make the folder" "$expunge" "${train[@]}" --output-dir /proc/x
  expect_exit 4 "/proc/x: cannot be written" "$expunge" "${train[@]}" --log-jsonl /proc/x --output-dir x
}

# Nor does a mistake in what comes after the first step cost the run that lies there.
case_refused_runs_keep_what_is_there() {
  expect_exit 3 "papers/nothing: there is no such split" "$expunge" "${train[@]}" --output-dir base --overwrite-output-dir \
    --eval-steps 1 --eval-split papers/nothing
  [[ ! -e x && -e base/checkpoints/step-000001/manifest.json ]] || die "a refused run left or took something"
}

# On ranks: the code comes through mpirun, and the message names the rank.
case_on_ranks() {
  expect_exit 3 "rank 0 of 2.*neither a model folder" ranks 2 "${eval[@]}" --model texts
}

case_full_disk() {
  if [[ $(id -u) == 0 ]] && mkdir disk && mount -t tmpfs -o size=1300k tmpfs disk 2>/dev/null; then
    trap 'umount "$work/disk"; rm -rf "$work"' EXIT
    expect_exit 4 "space" ranks 2 "$expunge" "${train[@]}" --max-steps 6 --save-steps 1 --output-dir disk/run
    [[ -n $(ls disk/run/checkpoints) ]] || die "no checkpoint before the disk was full"
    good=$(ls disk/run/checkpoints | tail -n 1)
    mount -o remount,size=20m disk
    expect_exit 0 "" ranks 2 "$expunge" "${train[@]}" --max-steps 6 --save-steps 1 --output-dir disk/run
    grep -q "resuming after step $((10#${good#step-}))" out.txt || die "did not resume from $good"
  else
    echo "skipped: a full disk needs root and mount"
  fi
}

run_case
