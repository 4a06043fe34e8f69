#!/usr/bin/env bash
# What outputs say of their making, and `expunge verify`: fine, missing, and one changed byte anywhere is found.
source "$(dirname "$0")/common.sh" "$@"
make_inputs
"$expunge" "${train[@]}" --max-steps 1 --quiet --output-dir base
"$expunge" export --checkpoint base --output-dir model --quiet
unlearn=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method random_label --global-batch-size 6
         --save-steps 1 --max-steps 2 --eval-steps 1 --output-dir run --quiet)
SLURM_JOB_ID=41 "${unlearn[@]}"
rm -r run/checkpoints/step-000002
SLURM_JOB_ID=42 "${unlearn[@]}"
"$expunge" eval --model run --tokens tokens.h5 --domain papers --output run/eval.h5 --quiet >/dev/null
"$expunge" mia --model run --tokens tokens.h5 --domain papers --reference-model model --output run/mia.h5 --quiet >/dev/null
"$expunge" export --checkpoint run --output-dir exported --quiet

text() { h5dump -a "/$2" "$1" | sed -nE 's/^ *\(0\): "?([^"]*)"?$/\1/p' | head -n 1; }

# flipped FILE PATTERN FOLDER: one byte changed is found, and put right again.
flipped() {
  local at=$(($(stat -c %s "$1") / 2))
  cp "$1" saved
  printf "\\x$(printf %02x $((0x$(od -An -tx1 -j $at -N 1 "$1" | tr -d ' ') ^ 1)))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
  expect_exit 7 "$2" "$expunge" verify "$3"
  cp saved "$1"
}

# changed FILE PATTERN FOLDER COMMAND...: a change by hand is found, and put right again.
changed() {
  cp "$1" saved
  "${@:4}"
  expect_exit 7 "$2" "$expunge" verify "$3"
  cp saved "$1"
}

case_what_outputs_say() {
  [[ $(jq -r '.config, .libraries, .restarts' exported/expunge.json | grep -cE '^(method = random_label|expunge .*|1)$') == 3 ]] ||
    die "the export does not name its run's options, versions and restarts"
  for file in run/metrics.h5 run/evaluations.h5 run/checkpoints/step-000002/checkpoint.h5; do
    [[ $(text $file job_id) == 42 && $(text $file restarts) == 1 ]] || die "$file does not name its job"
  done
  # What the options' `auto` came to.
  [[ "$(for name in device comm gather recompute; do text run/checkpoints/step-000002/checkpoint.h5 $name; done | tr '\n' ' ')" == \
    "cpu mpi per-step none " ]] || die "the choices that a checkpoint names"
  [[ $(text run/labels.h5 job_id) == 41 ]] || die "labels.h5 does not name its job"
  for file in run/metrics.h5 run/evaluations.h5 run/labels.h5 run/eval.h5 run/mia.h5 run/checkpoints/step-000002/checkpoint.h5; do
    for name in model_sha256 tokens_sha256 config version libraries host written; do
      h5dump -a "/$name" $file | grep -q "(0):" || die "$file: no $name"
    done
    [[ $(text $file tokens_sha256) == "$(sha256sum tokens.h5 | cut -d ' ' -f 1)" ]] || die "$file: tokens_sha256"
  done
  # The token file: what went in are the tokenizer and the texts of each split.
  SLURM_JOB_ID=43 "$expunge" tokenize --tokenizer init --data texts --output again.h5 --max-length 64 --quiet
  [[ $(text again.h5 job_id) == 43 && $(text again.h5 restarts) == 0 ]] || die "again.h5 does not name its job"
  for name in tokenizer_sha256 papers/forget/source_sha256 version libraries host written; do
    h5dump -a "/$name" again.h5 | grep -q "(0):" || die "again.h5: no $name"
  done
  h5dump -a /config again.h5 | grep -q "max-length = 64" || die "again.h5: config"
  [[ $(text run/metrics.h5 model_sha256) == "$(sha256sum model/model.safetensors | cut -d ' ' -f 1)" ]] || die "model_sha256"
  [[ $(text run/eval.h5 model_sha256) == "$(sha256sum run/checkpoints/step-000002/manifest.json | cut -d ' ' -f 1)" ]] || die "eval.h5"
}

case_fine_missing_and_unfinished() {
  expect_exit 0 "^[0-9]+ fine, 0 missing, 0 that do not match" "$expunge" verify run
  grep -q "eval.h5: made of step-000002" out.txt || die "eval.h5 is not tied to its checkpoint"
  expect_exit 0 " 0 that do not match" "$expunge" verify exported
  expect_exit 3 "expected a run folder or" "$expunge" verify texts
  # A run that was killed before its first checkpoint: nothing to hold files against is not "fine".
  mkdir -p early/checkpoints && cp run/config early/
  expect_exit 7 "MISMATCH +early/checkpoints: no good checkpoint" "$expunge" verify early
  cp run/eval.h5 early/
  expect_exit 7 "MISMATCH +early/checkpoints: no good checkpoint" "$expunge" verify early
  grep -q "^ok .*early/eval.h5" out.txt || die "the rest of a run without a checkpoint is not looked at"
  cp -r run/checkpoints/step-000001 early/checkpoints/ && rm early/checkpoints/step-000001/shard-*
  expect_exit 7 "MISMATCH .*shard-00000-of-00001.h5 is missing" "$expunge" verify early
  rm -r early
}

case_flipped_bytes() {
  flipped tokens.h5 "MISMATCH +the token file" run
  flipped model/model.safetensors "MISMATCH +the original model" run
  flipped run/labels.h5 "MISMATCH +run/labels.h5: SHA-256" run
  flipped run/checkpoints/step-000001/shard-00000-of-00001.h5 "MISMATCH .*step-000001.*shard-00000-of-00001.h5 does not match" run
  flipped exported/model.safetensors "MISMATCH +exported/model.safetensors" exported
  for file in run/metrics.h5 run/evaluations.h5 run/eval.h5 run/mia.h5; do flipped $file "MISMATCH.*$file" run; done
  flipped run/model/tokenizer.model "MISMATCH +run/model/tokenizer.model" run
  flipped model/config.json "MISMATCH +the original model's .*/model/config.json" run
}

case_changes_by_hand() {
  changed run/config "MISMATCH +run/config: max-steps = 9, was 2" run sed -i 's/^max-steps = 2/max-steps = 9/' run/config
  changed run/eval.h5 "MISMATCH +run/eval.h5: damaged" run sed -i s/file_sha256/file_sha257/ run/eval.h5
  # The library would walk such a heap for ever.
  endless() {
    dd if=/dev/zero of="$1" bs=1 seek=$(($(grep -abo -m 1 GCOL "$1" | head -n 1 | cut -d : -f 1) + 24)) count=1 conv=notrunc status=none
  }
  changed run/metrics.h5 "MISMATCH +run/metrics.h5: damaged" run endless run/metrics.h5
  changed run/labels.h5 "MISMATCH +run/labels.h5: SHA-256" run endless run/labels.h5
  [[ $(grep -c labels.h5 out.txt) == 1 ]] || die "the library has seen damaged labels"
  changed run/model/config.json "MISMATCH +run/model/config.json: gone" run rm run/model/config.json
  changed run/labels.h5 "MISMATCH +run/labels.h5: gone" run rm run/labels.h5
  changed exported/model.safetensors "MISMATCH +exported/model.safetensors: gone" exported rm exported/model.safetensors
  echo '{}' >run/model/chat_template.jinja
  expect_exit 7 "MISMATCH +run/model/chat_template.jinja: did not exist" "$expunge" verify run
  cp -r run unfinished
  rm -r unfinished/checkpoints/step-000002
  expect_exit 3 "unfinished/model/chat_template.jinja: did not exist when the run began; remove it" "${unlearn[@]/%run/unfinished}"
  rm -r run/model/chat_template.jinja unfinished
}

# What a method keeps of the original model is not trained on when it is damaged.
case_the_original_models_reference() {
  npo=("${unlearn[@]/%run/preference}")
  npo=("${npo[@]/random_label/npo}" --retain-repeat)
  "${npo[@]}"
  rm -r preference/checkpoints/step-000002
  flipped preference/reference.h5 "MISMATCH +preference/reference.h5: damaged" preference
  printf x | dd of=preference/reference.h5 bs=1 seek=900 conv=notrunc status=none
  expect_exit 3 "preference/reference.h5: the run's stored results of the original model changed since the run began" "${npo[@]}"
  rm -r preference
}

# The seal can be checked without the program.
case_seal() {
  seal=$(text run/eval.h5 file_sha256)
  [[ $(sed "s/$seal/$(printf %064d 0)/" run/eval.h5 | sha256sum | cut -d ' ' -f 1) == "$seal" ]] || die "the seal of eval.h5"
}

case_torn_checkpoints() {
  cp run/checkpoints/step-000002/checkpoint.h5 saved.h5
  truncate -s -1 run/checkpoints/step-000002/checkpoint.h5
  rm -r run/checkpoints/step-000001/shard-00000-of-00001.h5
  expect_exit 0 "DAMAGED: shard-00000-of-00001.h5 is missing; .*expunge verify $work/run" "$expunge" inspect run
  grep -q "DAMAGED: checkpoint.h5 has [0-9]* bytes, the manifest says" out.txt || die "inspect shows a torn checkpoint as whole"
  expect_exit 0 "DAMAGED: shard-00000-of-00001.h5 is missing" "$expunge" inspect run/checkpoints/step-000001
  cp saved.h5 run/checkpoints/step-000002/checkpoint.h5
  expect_exit 0 "^2 checkpoint" "$expunge" inspect run
  [[ $(grep -c DAMAGED out.txt) == 1 ]] || die "inspect shows a whole checkpoint as torn"
  expect_exit 7 "MISMATCH .*shard-00000-of-00001.h5 is missing" "$expunge" verify run
  rm -r run/checkpoints/step-000001
  mv tokens.h5 elsewhere.h5
  expect_exit 0 "missing +the token file" "$expunge" verify run
  mv elsewhere.h5 tokens.h5
}

# Figures of a model that is not the run's any more.
case_figures_of_another_model() {
  "$expunge" eval --model base --tokens tokens.h5 --domain papers --output run/eval.h5 --overwrite --quiet >/dev/null
  "$expunge" "${train[@]}" --max-steps 2 --quiet --output-dir base --overwrite-output-dir
  expect_exit 7 "MISMATCH +eval.h5: made of .*/base" "$expunge" verify run
}

run_case
