#!/usr/bin/env bash
# Lost and hung ranks on hosts of their own (network namespaces) under a real Slurm: a cable is pulled, a rank is stopped. The job ends
# by itself, within the time stated, with one message that names the rank and exit code 6; started again, it goes on.
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../cli/common.sh" "$1"
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
# lost MOST-SECONDS PATTERN: the job ends with exit code 6 and one message.
lost() {
  local began=$SECONDS
  expect_end "$job" FAILED 6:0 "$log"
  echo "ended after $((SECONDS - began)) s: $(grep "expunge: error" "$log")"
  ((SECONDS - began <= $1)) || { cat "$log" >&2; die "took more than $1 s"; }
  [[ $(grep -c "expunge: error" "$log") == 1 ]] || { cat "$log" >&2; die "not one message"; }
  grep -qE "expunge: error on rank [0-9]+ of 2: no progress in .*: $2" "$log" || die "the message does not say: $2"
}
# pid_of HOST: of the rank there.
pid_of() {
  local pid
  for pid in $(pgrep -x expunge); do
    [[ $(readlink "/proc/$pid/ns/net") != "net:[$(stat --dereference --format=%i "/run/netns/$1")]" ]] || echo "$pid"
  done
}

for launcher in srun mpirun; do
  write_env $launcher
  begin "$launcher-stopped"
  kill -STOP "$(pid_of n2)"
  lost 45 "1 of 2 ranks missing: rank 1 \(host n2\)"
  within 60 all_idle 2 || die "the nodes are not free"

  begin "$launcher-cable"
  ip link set p2 down
  lost 45 "1 of 2 ranks missing: rank 1 \(host n2\)"
  cat "$log"
  ip link set p2 up
  within 90 all_idle 2 || { sinfo >&2; die "the node did not come back"; }
  begin "$launcher-cable"
  in_log "resuming after step" "$log" || { cat "$log" >&2; die "did not go on"; }
  scancel "$job"
  within 60 all_idle 2 || die "the nodes are not free"
done
echo passed
