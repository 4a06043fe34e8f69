#!/usr/bin/env bash
# Two jobs on one run folder: the second refuses and says who has it. A killed job's lock means nothing.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --learning-rate 1e-3 --quiet)

set_up() {
  make_inputs
}

case_two_jobs() {
  SLURM_JOB_ID=77 "${run[@]}" --output-dir run --max-steps 100000 2>log.txt &
  job=$!
  for _ in $(seq 600); do
    [[ -s run/metrics.h5 ]] && break
    sleep 0.05
  done
  expect_exit 2 "run: in use by process $job on host $(hostname), job 77, since 20.*Z; .*remove run/.expunge-lock" "${run[@]}" --output-dir run --max-steps 100000
  grep -c "expunge: error" out.txt | grep -qx 1 || die "more than one message"
  expect_exit 2 "rank 0 of 2: .*run: in use by process $job" ranks 2 "${run[@]}" --output-dir run --max-steps 100000
  expect_exit 2 "in use by process $job" "${run[@]}" --output-dir run --max-steps 100000 --overwrite-output-dir
  kill -9 $job
  wait $job || true
  [[ -e run/.expunge-lock ]] || die "the lock's file went away by itself"
  "${run[@]}" --output-dir run --max-steps 2 --overwrite-output-dir
  [[ ! -e run/.expunge-lock ]] || die "the lock's file stays"
}

# A start that was killed before it had written its mark is no foreign folder.
case_begun_and_foreign_folders() {
  mkdir begun
  touch begun/.expunge-lock
  "${run[@]}" --max-steps 2 --output-dir begun
  mkdir -p foreign/model
  expect_exit 4 "no run folder of expunge" "${run[@]}" --max-steps 2 --output-dir foreign
  [[ $(ls -A foreign) == model ]] || die "a foreign folder was changed"
}

# Another user of the same group goes on with a run whose job was killed; a stranger's lock is not written.
case_users_of_a_group() {
  if [[ $(id -u) == 0 ]] && command -v setpriv >/dev/null; then
    as() { local user=$1; shift; (umask 002; HOME=$work setpriv --reuid "$user" --regid 54321 --clear-groups "$@"); }
    chmod 755 "$work"
    mkdir shared
    chown 50001:54321 shared
    chmod 2775 shared
    as 50001 "${run[@]}" --output-dir shared/run --max-steps 100000 --save-steps 1 2>log.txt &
    for _ in $(seq 600); do
      [[ -d shared/run/checkpoints/step-000002 ]] && break
      sleep 0.05
    done
    kill -9 "$(pgrep -f "shared/run --max-steps 100000" -U 50001 | head -n 1)"
    wait $! || true
    [[ $(stat -c %u shared/run/.expunge-lock) == 50001 ]] || die "no lock of the first user"
    as 50002 "${run[@]}" --output-dir shared/run --max-steps 100000 --save-steps 1 --max-walltime 3 || [[ $? == 75 ]] || die "a colleague cannot go on"
    [[ -z $(ls -A shared/run | grep expunge-lock) ]] || die "the lock stays"
    echo "process 7 on host far" >shared/run/.expunge-lock
    chown 50003 shared/run/.expunge-lock
    chmod 666 shared/run/.expunge-lock
    expect_exit 4 "belongs neither to this user nor to the owner of its folder" as 50002 "${run[@]}" --output-dir shared/run --max-steps 100000
    [[ $(<shared/run/.expunge-lock) == "process 7 on host far" ]] || die "a lock of a stranger was written"
  else
    echo "skipped: only root can start a job as another user"
  fi
}

run_case
