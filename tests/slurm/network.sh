#!/usr/bin/env bash
# Lost and hung ranks on hosts of their own (network namespaces) under a real Slurm: a cable is pulled, a rank is stopped. The job ends
# by itself, within the time stated, with one message that names the rank and exit code 6; started again, it goes on.
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../commands/common.sh" "$1"
source "$root/tests/slurm/study.sh"
steps=4000
start_cluster 2 network
write_env srun
make_small
echo "save-steps = 5" >>study.cfg
timeout_s=5
unlearn=("$root/slurm/unlearn.sbatch" --model model --tokens tokens.h5 --config study.cfg --collective-timeout "$timeout_s")

# begin NAME: the job in `job`, met in its middle; its log in `log`.
begin() {
  log=$PWD/logs/$1.log
  job=$(sbatch --parsable "${rank_jobs[@]}" --output="$log" "${unlearn[@]}" --output-dir "$1")
  within 60 in_log "unlearn [0-9]+/$steps" "$log" || { squeue >&2; cat "$log" >&2; die "no step"; }
}
# lost MOST-SECONDS PATTERN: the log says PATTERN in time, and has one message, which names the rank and its host.
lost() {
  local began=$SECONDS
  within "$1" in_log "$2" "$log" || { cat "$log" >&2; die "the job goes on after $1 s"; }
  echo "$launcher: after $((SECONDS - began)) s '$2': $(grep "expunge: error" "$log")"
  [[ $(grep -c "expunge: error" "$log") == 1 ]] || { cat "$log" >&2; die "not one message"; }
  grep -qE "error on rank 0 of 2: no progress in .*: 1 of 2 ranks missing: rank 1 \(host n2\)" "$log" || die "the message does not name rank 1"
}
# pid_of HOST: of the rank there.
pid_of() {
  local pid
  for pid in $(pgrep -x expunge); do
    [[ $(readlink "/proc/$pid/ns/net") != "net:[$(stat --dereference --format=%i "/run/netns/$1")]" ]] || echo "$pid"
  done
}

exit_6="unlearn ended with exit code 6"
for launcher in srun mpirun; do
  write_env $launcher
  begin "$launcher-stopped"
  kill -STOP "$(pid_of n2)"
  lost 30 "$exit_6"
  expect_end "$job" FAILED 6:0 "$log"
  within 60 all_idle 2 || die "the nodes are not free"

  begin "$launcher-cable"
  ip link set p2 down
  # mpirun goes on waiting for its daemon on the lost host; Slurm keeps the job COMPLETING. Either way until the node is heard of again,
  # or Slurm gives it up (SlurmdTimeout).
  if [[ $launcher == srun ]]; then lost 60 "$exit_6"; else lost 30 "expunge: error"; fi
  ip link set p2 up
  expect_end "$job" FAILED 6:0 "$log"
  within 120 all_idle 2 || { sinfo >&2; die "the node did not come back"; }
  begin "$launcher-cable"
  within 20 in_log "resuming after step" "$log" || { cat "$log" >&2; die "did not go on"; }
  scancel "$job"
  within 60 all_idle 2 || die "the nodes are not free"
done
echo passed
