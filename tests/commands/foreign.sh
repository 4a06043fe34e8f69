#!/usr/bin/env bash
# Folders and files of other people: nothing in them is touched, whatever they are called. Runs of an earlier version go on.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --learning-rate 1e-3 --quiet --max-steps 2)

# state FOLDER: every name in it with type, owner's bits and content.
state() { (cd "$1" && find . -printf '%p %y %m %l\n' | sort && find . -type f -print0 | sort -z | xargs -0 -r sha256sum); }

# untouched FOLDER: as --output-dir it is refused with and without --overwrite-output-dir, and stays as it is.
untouched() {
  local before option
  before=$(state "$1")
  for option in --overwrite-output-dir=false --overwrite-output-dir; do
    expect_exit 4 "${2:-no run folder of expunge}" "${run[@]}" --output-dir "$1" $option
    [[ $(state "$1") == "$before" ]] || die "$1 was changed ($option)"
  done
}

set_up() {
  make_inputs
}

case_folders_that_look_like_runs() {
  mkdir -p hydra/config hydra/model hydra/checkpoints
  echo "lr: 1" >hydra/config/train.yaml
  echo w >hydra/model/weights.bin
  untouched hydra
  mkdir -p git && git init -q --bare git 2>/dev/null || { mkdir -p git/{objects,refs} && : >git/config; }
  untouched git
  mkdir -p ssh && echo "Host *" >ssh/config && echo key >ssh/id_ed25519
  untouched ssh
  mkdir -p trainer/checkpoints/step-000500 trainer/model trainer/tensorboard
  echo c >trainer/checkpoints/step-000500/pytorch_model.bin
  echo l >trainer/labels.h5
  : >trainer/config
  untouched trainer "earlier version without a good checkpoint"
  mkdir locked && echo "process 7 on host far, since 2026" >locked/.expunge-lock && echo d >locked/labels.h5
  untouched locked
  mkdir marked && echo '{"expunge_run": 1}' >marked/.expunge-run && echo d >marked/metrics.h5
  untouched marked
  mkdir temporaries && echo t >temporaries/metrics.h5.tmp && mkdir temporaries/.run.writing
  untouched temporaries
  echo precious >mine
  mkdir linked && ln -s ../mine linked/.expunge-lock
  untouched linked
  [[ $(<mine) == precious ]] || die "a lock was written through a link"
}

# In a run folder of ours, files that the run did not write stay; one in the way of a run is named before anything is removed.
case_files_in_our_run_folder() {
  "${run[@]}" --output-dir own
  cp -r own other
  echo n >own/notes.txt
  mkdir own/checkpoints/checkpoint-500 own/tensorboard
  echo w >own/checkpoints/checkpoint-500/w
  echo m >own/model/weights.bin
  echo e >own/tensorboard/events.out.tfevents.1.host.2.0
  "${run[@]}" --output-dir own --overwrite-output-dir --tensorboard on
  for file in notes.txt checkpoints/checkpoint-500/w model/weights.bin tensorboard/events.out.tfevents.1.host.2.0; do
    [[ -f own/$file ]] || die "$file was removed"
  done
  echo s >own/checkpoints/step-000002/notes.txt
  before=$(state own)
  expect_exit 4 "step-000002/notes.txt: is no part of that checkpoint" "${run[@]}" --output-dir own --overwrite-output-dir
  [[ $(state own) == "$before" ]] || die "the run was changed beside a file in a checkpoint"
  for file in labels.h5 evaluations.h5; do
    echo theirs >other/$file
    before=$(state other)
    expect_exit 4 "$file: is not the file that expunge wrote there; .*nothing was removed" "${run[@]}" --output-dir other --overwrite-output-dir
    [[ $(state other) == "$before" ]] || die "the run was changed beside a foreign $file"
    rm other/$file
  done
  sed -i '1s/^/# by hand\n/' other/config
  expect_exit 4 "config: is not the file that expunge wrote there" "${run[@]}" --output-dir other --overwrite-output-dir
}

# A link for a run's own folder: nothing is removed through it.
case_a_linked_folder() {
  "${run[@]}" --output-dir moved
  mv moved/checkpoints elsewhere
  ln -s ../elsewhere moved/checkpoints
  before=$(state elsewhere)
  expect_exit 4 "checkpoints: is not the folder that expunge made there" "${run[@]}" --output-dir moved --overwrite-output-dir
  [[ $(state elsewhere) == "$before" ]] || die "checkpoints were removed through a link"
}

# A log that another run began is not written; the own one is taken up.
case_logs_and_reports() {
  "${run[@]}" --output-dir logged --log-jsonl log.jsonl
  before=$(<log.jsonl)
  expect_exit 4 "log.jsonl: exists already, but this run did not begin it" "${run[@]}" --output-dir second --log-jsonl log.jsonl
  printf 'no newline' >note
  expect_exit 4 "note: exists already" "${run[@]}" --output-dir second --log-jsonl note
  [[ $(<log.jsonl) == "$before" && $(<note) == "no newline" ]] || die "a log of somebody else was changed"
  "${run[@]}" --output-dir logged --log-jsonl log.jsonl --overwrite-output-dir
  [[ $(wc -l <log.jsonl) == 2 ]] || die "the own log was not begun anew"

  # A report beside other people's files.
  "$expunge" eval --model logged --tokens tokens.h5 --domain papers --output logged/eval.h5 --quiet
  mkdir -p reports/page-figures
  echo "# Read me" >reports/page.md
  expect_exit 4 "page.md: has the name of the report's Markdown" "$expunge" report logged --output reports/page.html --overwrite --quiet
  [[ $(<reports/page.md) == "# Read me" && ! -e reports/page.html ]] || die "a Markdown file of somebody else was replaced"
  rm reports/page.md
  echo "<svg/>" >reports/page-figures/logo.svg
  for _ in 1 2; do "$expunge" report logged --output reports/page.html --overwrite --quiet >/dev/null; done
  [[ $(<reports/page-figures/logo.svg) == "<svg/>" ]] || die "a picture of somebody else was removed"
}

# A run of version 0.1.0, before runs were marked, goes on and is marked. Its inputs have absolute paths.
case_an_earlier_version() {
  former=/tmp/expunge-former-run
  if mkdir "$former" 2>/dev/null; then
    trap 'rm -rf "$work" "$former"' EXIT
    tar -C "$former" -xf "$root/tests/fixtures/former_run/former_run.tar.xz"
    chown -R "$(id -u):$(id -g)" "$former"
    go_on=("$expunge" train --init-config $former/init/config.json --tokens $former/tokens.h5 --split papers/forget
           --global-batch-size 2 --max-steps 2 --save-steps 1 --dtype float32 --quiet)
    cp -r $former/run former
    cp -r $former/run damaged
    cp -r $former/run cleared
    "${go_on[@]}" --output-dir former
    [[ -f former/.expunge-run && -d former/checkpoints/step-000002 ]] || die "the former run did not go on"
    "${go_on[@]}" --output-dir cleared --overwrite-output-dir
    [[ -f cleared/.expunge-run ]] || die "the former run was not begun anew"
    printf x | dd of=damaged/checkpoints/step-000001/checkpoint.h5 bs=1 seek=3000 conv=notrunc status=none
    before=$(state damaged)
    expect_exit 4 "earlier version without a good checkpoint" "${go_on[@]}" --output-dir damaged --overwrite-output-dir
    expect_exit 4 "earlier version without a good checkpoint" "${go_on[@]}" --output-dir damaged
    [[ $(state damaged) == "$before" ]] || die "a former run without a good checkpoint was changed"
  else
    echo "skipped: $former is there already"
  fi
}

run_case
