#!/usr/bin/env bash
# One hash binds every file of a checkpoint, and a record names all that a run began from: other weights, a lost or older table,
# a further file, steps of another run are found or told.
source "$(dirname "$0")/common.sh" "$@"
make_inputs
"$expunge" "${train[@]}" --max-steps 1 --quiet --output-dir base
"$expunge" export --checkpoint base --output-dir model --quiet
common=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --global-batch-size 6 --save-steps 1 --lr-scheduler-type constant)
run=("${common[@]}" --method gradient_ascent --max-steps 3 --eval-steps 1)
"${run[@]}" --learning-rate 1e-3 --output-dir run 2>log.txt
"${run[@]}" --learning-rate 1e-12 --output-dir idle --quiet
"$expunge" eval --model run --tokens tokens.h5 --domain papers --output run/eval.h5 --quiet >/dev/null
"$expunge" mia --model run --tokens tokens.h5 --domain papers --output run/mia.h5 --quiet >/dev/null
"$expunge" export --checkpoint run --output-dir exported --quiet
"$expunge" report run --output report.html --quiet
last=run/checkpoints/step-000003
text() { h5dump -a "/$2" "$1" | sed -nE 's/^ *\(0\): "?([^"]*)"?$/\1/p' | head -n 1; }

# spoilt PATTERN FOLDER COMMAND...: what the command does to a copy is a mismatch.
spoilt() {
  rm -rf spoilt && cp -r "$2" spoilt
  (cd spoilt && "${@:3}")
  expect_exit 7 "MISMATCH +$1" "$expunge" verify spoilt
}

# The same hash everywhere.
case_one_hash_everywhere() {
  hash=$(sha256sum $last/manifest.json | cut -d ' ' -f 1)
  grep -q "$last: SHA-256 $hash" log.txt || die "the log does not name the checkpoint's hash"
  expect_exit 0 "^ok +$last: SHA-256 $hash of manifest.json, and every file" "$expunge" verify run
  expect_exit 0 "sha256 +$hash" "$expunge" inspect $last
  [[ $(text run/eval.h5 model_sha256) == "$hash" && $(text run/mia.h5 model_sha256) == "$hash" ]] || die "results name another hash"
  [[ $(jq -r .checkpoint_sha256 exported/expunge.json) == "$hash" ]] || die "the export names another hash"
  grep -q "$hash" report.md || die "the report does not name the hash"
  for name in $(jq -r '.files[].name' $last/manifest.json); do
    [[ $(jq -r ".files[] | select(.name == \"$name\").sha256" $last/manifest.json) == "$(sha256sum $last/"$name" | cut -d ' ' -f 1)" ]] ||
      die "the manifest's hash of $name"
  done
}

case_changed_files() {
  weights() { cp ../idle/checkpoints/step-000003/shard-* checkpoints/step-000003/; }
  spoilt "spoilt/checkpoints/step-000003: .*shard-00000-of-00001.h5 does not match its SHA-256" run weights
  forged() { # the manifest made anew
    weights
    jq --arg hash "$(sha256sum checkpoints/step-000003/shard-* | cut -d ' ' -f 1)" \
      '(.files[] | select(.name | startswith("shard")) .sha256) = $hash' checkpoints/step-000003/manifest.json >../new.json
    cp ../new.json checkpoints/step-000003/manifest.json
  }
  spoilt "eval.h5: made of" run forged
  former() { # a manifest of the first format cannot take the place of one with SHA-256
    jq '.format_version = 1 | .files = []' checkpoints/step-000003/manifest.json >../new.json
    cp ../new.json checkpoints/step-000003/manifest.json
  }
  spoilt "spoilt/checkpoints/step-000003: damaged checkpoint: manifest.json does not name checkpoint.h5" run former
  emptied() { echo '{"format_version": 2, "step": 2, "files": []}' >checkpoints/step-000003/manifest.json; }
  spoilt "spoilt/checkpoints/step-000003: damaged checkpoint: manifest.json does not name checkpoint.h5" run emptied
  expect_exit 3 "manifest.json does not name" "$expunge" eval --model spoilt/checkpoints/step-000003 --tokens tokens.h5 --domain papers --output x.h5
  for table in metrics evaluations; do
    spoilt "spoilt/$table.h5: gone; .*step-000003/$table.h5 has a copy" run rm $table.h5
    spoilt "spoilt/$table.h5: its rows are not those of" run cp checkpoints/step-000001/$table.h5 .
    spoilt "spoilt/$table.h5: its rows are not those of" run cp ../idle/$table.h5 .
  done
  spoilt "spoilt/checkpoints/step-000001/more.bin: manifest.json does not name it" run touch checkpoints/step-000001/more.bin
  spoilt "spoilt/checkpoints: no good checkpoint" run rm -r checkpoints/step-00000{1,2,3}
  spoilt "spoilt/more.bin: expunge.json does not name it" exported touch more.bin
}

# A checkpoint of another run, one in the place of another step, and files that the run did not make.
case_checkpoints_of_other_runs() {
  older() { rm -r checkpoints/step-000002 && cp -r ../idle/checkpoints/step-000002 checkpoints/; }
  spoilt "spoilt/checkpoints/step-000002: learning-rate = 1e-12, in step 3 0.001" run older
  spoilt "spoilt/checkpoints/step-000004: holds step 3" run cp -r checkpoints/step-000003 checkpoints/step-000004
  spoilt "spoilt/labels.h5: the run made none" run cp ../tokens.h5 labels.h5
  spoilt "spoilt/reference.h5: the run made none" run cp metrics.h5 reference.h5
  spoilt "spoilt/.expunge-run: gone" run rm .expunge-run
  unmarked() { echo '{}' >.expunge-run; }
  spoilt "spoilt/.expunge-run: not a mark" run unmarked
  "${common[@]}" --method gradient_ascent --max-steps 1 --output-dir plain --quiet
  spoilt "spoilt/evaluations.h5: .*step-000001 has no copy of it" plain cp ../run/evaluations.h5 .
}

# What an export says is held against its checkpoint, weights included, and followed back.
case_exports() {
  relabelled() { jq '.step = 200' expunge.json >new && mv new expunge.json; }
  spoilt "spoilt/expunge.json: step is not that of the checkpoint" exported relabelled
  "$expunge" export --checkpoint idle --output-dir idle-model --quiet
  rewritten() { # other weights, with their hash
    cp ../idle-model/model.safetensors .
    jq --arg hash "$(sha256sum model.safetensors | cut -d ' ' -f 1)" '.files["model.safetensors"] = $hash' expunge.json >new && mv new expunge.json
  }
  spoilt "spoilt: model.embed_tokens.weight is not that of the checkpoint" exported rewritten
  expect_exit 0 "^ok +exported: the weights are those of the checkpoint" "$expunge" verify exported
  grep -q "^ok  *the original model, $work/model:" out.txt || die "an export is not followed to the original model"
  emptied() { jq '.files = {}' expunge.json >new && mv new expunge.json; }
  spoilt "spoilt/expunge.json: names no files" exported emptied
  rm -rf aside && cp -r run aside
  cp idle/checkpoints/step-000003/shard-* $last/
  expect_exit 7 "MISMATCH +.*step-000003: shard-00000-of-00001.h5 does not match" "$expunge" verify exported
  rm -r run && mv aside run
  touch run/notes.txt && mkdir run/checkpoints/damaged-step-000001
  expect_exit 0 "^not covered: notes.txt, checkpoints/damaged-step-000001" "$expunge" verify run
}

# A run of an earlier version is verified as what it is.
case_an_earlier_version() {
  mkdir former && tar -C former -xf "$root/tests/fixtures/former_run/former_run.tar.xz"
  old=$(dirname "$(find former -name config | head -n 1)")
  expect_exit 0 "every file matches the CRC-32C of manifest.json, which detects only accidents" "$expunge" verify "$old"

  expect_exit 0 "has only CRC-32C, which detects accidents but not changes" "$expunge" export --checkpoint "$old" --output-dir old-model
  expect_exit 0 "^ok +the checkpoint, .*, whose manifest detects only accidents: SHA-256" "$expunge" verify old-model
}

# Another run's checkpoint: the record names it, with its options and its hash, and the steps asked for are made.
case_beginning_from_another_run() {
  "${common[@]}" --method finetune --max-steps 2 --learning-rate 3e-4 --output-dir first --quiet
  second=("${common[@]}" --method gradient_ascent --learning-rate 1e-4 --output-dir second --resume-from-checkpoint first/checkpoints/step-000001)
  expect_exit 0 "continuing after step 1 from first/checkpoints/step-000001" "${second[@]}" --max-steps 4
  [[ $(h5dump -d /train/step second/metrics.h5 | grep -c '^ *(0): 1, 2, 3, 4$') == 1 ]] || die "steps 1 to 4 are not in metrics.h5"
  hash=$(sha256sum first/checkpoints/step-000001/manifest.json | cut -d ' ' -f 1)
  expect_exit 0 "^ok +began from $work/first/checkpoints/step-000001, step 1 of finetune: SHA-256 $hash" "$expunge" verify second
  expect_exit 0 "report" "$expunge" report second --output second.html
  grep -q "step 1 by finetune on papers, learning rate 0.0003, in $work/first/checkpoints/step-000001 (SHA-256 $hash)" second.md ||
    die "the report does not tell of the steps before"
  grep -q "Steps of this run.*2 to 4" second.md || die "the report does not tell its own steps"
  expect_exit 2 "has 1 optimizer steps already, but this run ends after 1" "${second[@]/#second/third}" --max-steps 1
  [[ ! -e third ]] || die "a refused run left a folder"
  expect_exit 0 "began from +$work/first/checkpoints/step-000001, step 1 of finetune on papers" "$expunge" inspect second
  # It is resumed as itself, bitwise, by the same command or without the path; the chain stays.
  cp -r second whole
  for again in "${#second[@]}" $((${#second[@]} - 2)); do
    rm -r second/checkpoints/step-00000[34]
    expect_exit 0 "resuming after step 2" "${second[@]:0:again}" --max-steps 4
    same_parameters whole/checkpoints/step-000004 second/checkpoints/step-000004 || die "the resumed weights differ"
  done
  expect_exit 0 "finished already" "${second[@]}" --max-steps 4
  # A run that began elsewhere does not take another's checkpoint in between.
  expect_exit 2 "the run in run did not begin from it" "${run[@]}" --learning-rate 1e-3 --output-dir run \
    --resume-from-checkpoint first/checkpoints/step-000001
  expect_exit 0 "^ok +began from $work/first/checkpoints/step-000001" "$expunge" verify second
  # By way of an exported model, too.
  "$expunge" export --checkpoint second --output-dir second-model --quiet
  third=("${common[@]:0:2}" --model) # and a model
  fourth=("${common[@]:4}" --method gradient_ascent --max-steps 1)
  "${third[@]}" second-model "${fourth[@]}" --output-dir third --quiet
  expect_exit 0 "^ok +began from $work/first/checkpoints/step-000001, step 1 of finetune" "$expunge" verify third
  grep -q "^ok  *began from $work/second-model, step 4 of gradient_ascent" out.txt || die "the exported model is not in the chain"
  grep -q "^ok  *began from $work/model, step 1 of train" out.txt && grep -q "^ok  *the original model of all, $work/init/config.json:" out.txt ||
    die "the chain does not end at the original model"
  "${third[@]}" second "${fourth[@]}" --output-dir fourth --quiet
  expect_exit 0 "^ok +began from $work/second/checkpoints/step-000004, step 4 of gradient_ascent" "$expunge" verify fourth
  cp second/checkpoints/step-000004/shard-* first/checkpoints/step-000001/
  expect_exit 7 "MISMATCH +.*first/checkpoints/step-000001: shard-00000-of-00001.h5 " "$expunge" verify third
  rm -r first
  expect_exit 0 "^missing +began from $work/first/checkpoints/step-000001" "$expunge" verify third
  # The moments and the reference of one model are no use to a run of another.
  expect_exit 3 "its run began from the original model with SHA-256" "${third[@]}" exported "${common[@]:4}" \
    --method gradient_ascent --max-steps 9 --output-dir fifth --resume-from-checkpoint second/checkpoints/step-000004
}

# States of the run before are none that this one could return to, and a condition that holds already ends it.
case_conditions_and_evaluations_are_its_own() {
  "${common[@]}" --method gradient_ascent --max-steps 3 --eval-steps 1 --learning-rate 1e-3 --output-dir ahead --quiet
  stopping=("${common[@]}" --method gradient_ascent --max-steps 5 --eval-steps 1 --resume-from-checkpoint ahead/checkpoints/step-000003)
  expect_exit 0 "step 3: forget:perplexity >= forget:perplexity@start holds; the run ends" "${stopping[@]}" --output-dir holds \
    --stop-at "forget:perplexity >= forget:perplexity@start"
  ! grep -q "nearer" out.txt || { cat out.txt >&2; die "a state of another run was taken for one of this"; }
  [[ $(ls holds/checkpoints) == step-000003 ]] || die "checkpoints of a run that made no step: $(ls holds/checkpoints)"
  expect_exit 0 " 0 that do not match" "$expunge" verify holds
  # Its evaluations are its own, and begin with the state that it began from, also where that is not a step to evaluate at.
  judged=("${common[@]}" --method gradient_ascent --max-steps 5 --resume-from-checkpoint ahead/checkpoints/step-000003)
  expect_exit 0 "continuing after step 3" "${judged[@]}" --eval-steps 2 --eval-split forget --output-dir judged
  [[ $(h5dump -d /eval/step judged/evaluations.h5 | sed -nE 's/^ *\(0\): (.*)$/\1/p') == "3, 4, 5" ]] || { h5dump -d /eval/step judged/evaluations.h5; die "steps"; }
  [[ $(h5ls judged/evaluations.h5/eval/papers | wc -l) == 1 ]] || die "splits of the run before"
  "$expunge" report judged --output judged.html --quiet
  # Rows that are not those of the checkpoint are put back when a run goes on.
  cp -r run swapped && rm -r swapped/checkpoints/step-000003 swapped/{eval,mia}.h5 && cp idle/{metrics,evaluations}.h5 swapped/
  expect_exit 0 "evaluations.h5: damaged .its rows are not those of the checkpoint's copy" "${run[@]}" --learning-rate 1e-3 --output-dir swapped
  h5diff run/evaluations.h5 swapped/evaluations.h5 /eval && h5diff run/metrics.h5 swapped/metrics.h5 /train/loss || die "rows of another run were kept"
}

# Inputs are told by their hashes: elsewhere they are the same, and changed ones are refused.
case_inputs_by_their_hashes() {
  seq 0 11 >order.txt
  ordered=("${common[@]}" --method gradient_ascent --max-steps 2 --sample-order order.txt --output-dir ordered)
  "${ordered[@]}" --quiet
  rm -r ordered/checkpoints/step-000002
  seq 11 -1 0 >order.txt
  expect_exit 3 "order.txt: the file of --sample-order changed since the run began" "${ordered[@]}"
  seq 0 11 >elsewhere.txt && cp -r model elsewhere && ln -s tokens.h5 elsewhere.h5
  elsewhere=("${ordered[@]/%order.txt/elsewhere.txt}")
  elsewhere=("${elsewhere[@]/%tokens.h5/elsewhere.h5}")
  mv model model.before
  expect_exit 0 "resuming after step 1" "${elsewhere[@]:0:3}" elsewhere "${elsewhere[@]:4}"
  mv model.before model
  mv elsewhere.txt kept.txt && seq 11 -1 0 >elsewhere.txt
  expect_exit 7 "MISMATCH +the sample order, $work/elsewhere.txt" "$expunge" verify ordered
  mv kept.txt elsewhere.txt
  expect_exit 0 " 0 that do not match" "$expunge" verify ordered
}

run_case
