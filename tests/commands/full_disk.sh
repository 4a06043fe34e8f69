#!/usr/bin/env bash
# A disk that fills up at every change that a run makes to it, one after the other: the run ends with exit code 4 (or goes on,
# where nothing of worth was lost) and a message that names a file, no good checkpoint is lost, and the same command ends as the
# undisturbed run once there is space.
source "$(dirname "$0")/common.sh" "$@"
library=$(dirname "$expunge")/tests/commands/libfull_disk.so
make_inputs
run=("$expunge" "${train[@]}" --max-steps 4 --save-steps 2 --save-total-limit 2 --learning-rate 3e-3 --quiet)

preloaded() { LD_PRELOAD=$library EXPUNGE_DISK=$work/disk "$@"; }
# good: the checkpoints of the run whose files are whole.
good() { "$expunge" verify "$work/disk/run" 2>/dev/null | grep -c "^ok .*every file matches" || true; }

# fill STRIDE: a disk that is full at the first change, and at every STRIDE-th after it.
fill() {
  local stride=$1
  mkdir disk
  EXPUNGE_DISK_LOG=$work/changes preloaded "${run[@]}" --output-dir "$work/disk/run"
  mv disk/run whole
  changes=$(cat changes)
  ((changes > 50)) || die "only $changes changes to the disk were seen"
  failed=0 survived=0
  for ((room = 0; room < changes; room += stride)); do
    rm -rf disk/run
    code=0
    EXPUNGE_DISK_ROOM=$room preloaded "${run[@]}" --output-dir "$work/disk/run" >log.txt 2>&1 || code=$?
    case $code in
      0) survived=$((survived + 1)) ;;
      4)
        failed=$((failed + 1))
        grep -qE "expunge: error: .*disk/run" log.txt || { cat log.txt >&2; die "room for $room changes: no file is named"; }
        grep -q "No space left" log.txt || { cat log.txt >&2; die "room for $room changes: no reason"; }
        ;;
      *) cat log.txt >&2; die "room for $room changes: exit $code" ;;
    esac
    before=$(good)
    # Full again at the first change, then at a later one of the resumed run: what was good stays.
    for more in 0 7; do
      code=0
      EXPUNGE_DISK_ROOM=$more preloaded "${run[@]}" --output-dir "$work/disk/run" >log.txt 2>&1 || code=$?
      [[ $code == 0 || $code == 4 ]] || { cat log.txt >&2; die "room for $room, then $more changes: exit $code"; }
      (($(good) >= before)) || die "room for $room, then $more changes: a good checkpoint is gone"
    done
    "${run[@]}" --output-dir "$work/disk/run" >log.txt 2>&1 || { cat log.txt >&2; die "room for $room changes: does not resume"; }
    same_parameters whole/checkpoints/step-000004 disk/run/checkpoints/step-000004 || die "room for $room changes: weights differ"
    h5diff whole/metrics.h5 disk/run/metrics.h5 /train/loss || die "room for $room changes: losses differ"
  done
  echo "passed: full at $((failed + survived)) of $changes changes: $failed ended with exit code 4, $survived went on; none lost a" \
    "checkpoint, all resumed"
}

case_few() { fill 40; }
long_case_every() { fill 1; }

run_case
