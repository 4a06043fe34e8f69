#!/usr/bin/env bash
# Files and folders that bear names of ours, in a run's own folders: they stay, whatever a run does, or it says which is in the way.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --max-steps 3 --save-steps 1 --quiet)

# begun: a run that has made one step of three.
begun() {
  rm -rf a
  cp -r whole a
  rm -r a/checkpoints/step-00000[23]
}
# in_the_way PATTERN: resuming is refused at once, and nothing of theirs is touched.
in_the_way() {
  find a -type f ! -name '.expunge-*' -exec sha256sum {} + | sort >before.txt
  expect_exit 4 "$1" "${run[@]}" --output-dir a
  find a -type f ! -name '.expunge-*' -exec sha256sum {} + | sort >after.txt
  diff before.txt after.txt || die "something was changed"
}

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --max-steps 1 --quiet --output-dir base
  "$expunge" export --checkpoint base --output-dir model --quiet
  "${run[@]}" --output-dir whole
  cp tokens.h5 theirs.h5 # an HDF5 file of another program
}

case_in_the_way_of_a_checkpoint() {
  place=a/checkpoints/step-000002
  begun && echo precious >$place
  in_the_way "$place: lies where the run writes a checkpoint"
  begun && mkdir mine && ln -s ../../mine $place
  in_the_way "$place: lies where the run writes a checkpoint"
  [[ -L $place ]] || die "a link is gone"
  for name in manifest.json metrics.h5 evaluations.h5 checkpoint.h5 shard-00000-of-00001.h5 notes; do
    begun && mkdir $place
    if [[ $name == *.h5 ]]; then cp theirs.h5 "$place/$name"; else echo '{"mine": 1}' >"$place/$name"; fi
    in_the_way "$place/$name: lies where the run writes a checkpoint"
  done
  # Going back to a step is refused where a later checkpoint holds a file of theirs.
  rm -rf a && cp -r whole a && cp theirs.h5 a/checkpoints/step-000003/evaluations.h5
  back=("${run[@]}" --output-dir a --resume-from-checkpoint a/checkpoints/step-000001)
  expect_exit 4 "step-000003/evaluations.h5: lies where the run writes a checkpoint" "${back[@]}"
}

# Names of checkpoints set aside, of earlier versions, and beyond the run's steps.
case_names_of_checkpoints_set_aside() {
  begun
  for name in damaged-step-000001 .writing-step-000007 .removed-step-000007 .replaced-step-000009; do
    mkdir "a/checkpoints/$name" && cp theirs.h5 "a/checkpoints/$name/checkpoint.h5"
  done
  "${run[@]}" --output-dir a
  mkdir a/checkpoints/step-000500 && cp theirs.h5 a/checkpoints/step-000500/checkpoint.h5
  [[ $(find a/checkpoints -name checkpoint.h5 -exec cmp -s {} theirs.h5 \; -print | wc -l) == 5 ]] || die "a folder of theirs is gone"
  code=0
  "${run[@]}" --output-dir a --overwrite-output-dir 2>out.txt || code=$?
  [[ $code == 0 || $code == 4 ]] || die "exit $code"
  [[ $(find a/checkpoints -name checkpoint.h5 -exec cmp -s {} theirs.h5 \; -print | wc -l) == 5 ]] || die "a folder of theirs is gone"
  # Beside a checkpoint that goes, an HDF5 file of theirs stays.
  begun && cp theirs.h5 a/checkpoints/step-000001/shard-00007-of-00009.h5
  "${run[@]}" --output-dir a --save-total-limit 1
  cmp -s theirs.h5 a/checkpoints/step-000001/shard-00007-of-00009.h5 || die "a file beside a checkpoint is gone"
}

# Files of the run that were changed by hand, and a lock that is none.
case_files_changed_by_hand() {
  for name in metrics evaluations reference; do
    begun
    cp theirs.h5 a/$name.h5
    expect_exit 4 "a/$name.h5: is not the file that expunge wrote there" "${run[@]}" --output-dir a --overwrite-output-dir
    cmp -s theirs.h5 a/$name.h5 || die "$name.h5 was removed"
  done
  mkdir locked && echo "process list: my notes" >locked/.expunge-lock
  expect_exit 4 "locked: holds .expunge-lock" "${run[@]}" --output-dir locked
  [[ $(<locked/.expunge-lock) == "process list: my notes" ]] || die "a lock of theirs was changed"
  mkdir large && cp -r whole linked && mv linked/checkpoints large/ && ln -s ../large/checkpoints linked/checkpoints
  for path in linked large; do
    expect_exit 4 "checkpoints/step-000001/metrics.h5: (is a place for files of the run|lies in the checkpoint)" "$expunge" eval --model model \
      --tokens tokens.h5 --domain papers --output $path/checkpoints/step-000001/metrics.h5 --overwrite
  done
}

# Logs: another run's lines, somebody's line, and a second writer.
case_logs() {
  logged=("${run[@]}" --log-jsonl log.jsonl)
  "${logged[@]}" --output-dir one
  mv log.jsonl one.jsonl
  "${logged[@]}" --output-dir two --learning-rate 1e-4
  rm -r one/checkpoints/step-000003
  cp log.jsonl before.jsonl
  expect_exit 4 "line 1 is of another run" "${logged[@]}" --output-dir one
  mkdir kept && cp -r one/. kept
  expect_exit 4 "line 1 is of another run" "${logged[@]}" --output-dir one --overwrite-output-dir
  diff -r one kept || die "a refused start removed something"
  rm -r two/checkpoints/step-000003
  echo "MY NOTE" >>log.jsonl
  expect_exit 4 "line 4 is not a step that expunge logged" "${logged[@]}" --output-dir two --learning-rate 1e-4
  diff <(head -n 3 log.jsonl) before.jsonl || die "a refused start changed the log"
  head -n 3 log.jsonl >cut && cat cut >log.jsonl
  "${logged[@]}" --output-dir two --learning-rate 1e-4
  [[ $(jq -c .step log.jsonl | tr '\n' ' ') == "1 2 3 " ]] || die "the own log is not gone on with"
  long=("$expunge" "${train[@]}" --max-steps 100000 --quiet --log-jsonl shared.jsonl)
  "${long[@]}" --output-dir first &
  job=$!
  until [[ -s shared.jsonl ]]; do sleep 0.05; done
  cp shared.jsonl begun.jsonl
  expect_exit 4 "shared.jsonl: (exists already|another process appends to it)" "${long[@]}" --output-dir other
  kill -9 $job && wait $job || true
  for place in /dev/null /dev/stderr; do
    "${run[@]}" --output-dir device --overwrite-output-dir --log-jsonl $place 2>out.txt || die "a log to $place"
  done
  [[ $(grep -c '"loss"' out.txt) == 3 ]] || die "the log on standard error"
}

# What appears while a command works.
case_what_appears_meanwhile() {
  label=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method random_label --top-k 1 --rm-groundtruth
         --global-batch-size 6 --max-steps 1 --output-dir labels --save-labels saved.h5)
  "${label[@]}" --quiet 2>out.txt &
  job=$!
  until [[ -e labels/.expunge-run ]]; do :; done
  kill -STOP $job
  [[ ! -e saved.h5 ]] && echo precious >saved.h5
  kill -CONT $job
  wait $job || true
  [[ $(head -c 8 saved.h5) == precious ]] || die "--save-labels replaced a file that came meanwhile"
}

# A report's Markdown and figures that were changed by hand.
case_notes_in_a_report() {
  "$expunge" report base --output page.html --quiet
  rm page.html && sed -i '1i NOTES' page.md
  expect_exit 4 "page.md: has the name of the report's Markdown" "$expunge" report base --output page.html
  grep -q NOTES page.md || die "notes are gone"
}

# Whoever holds the folder does not hold the command for ever.
case_a_held_folder() {
  mkdir held && echo '{"prompt": "a"}' >prompts.jsonl
  exec 9<held && flock 9
  expect_exit 0 "completions" timeout 40 "$expunge" generate --model model --prompts prompts.jsonl --max-new-tokens 1 --output held/o.jsonl
}

run_case
