#!/usr/bin/env bash
# Time limits that Slurm itself enforces: the signal of --signal comes before the limit, or TERM at the limit; either way the job
# leaves a checkpoint, is requeued and goes on.
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../commands/common.sh" "$1"
source "$root/tests/slurm/study.sh"
steps=1000000
start_cluster 2
write_env srun
make_small
unlearn=("$root/slurm/unlearn.sbatch" --model model --tokens tokens.h5 --config study.cfg)
signalled=$(sbatch --parsable "${rank_jobs[@]}" --time=2 --signal=B:USR1@45 --output=logs/signal.log "${unlearn[@]}" --output-dir signal)
# URG, which nobody minds, takes the place of the script's own USR1.
stopped=$(sbatch --parsable "${rank_jobs[@]}" --time=1 --signal=B:URG@1 --output=logs/limit.log "${unlearn[@]}" --output-dir limit)
expect_restart() { # JOB LOG SIGNAL
  within 200 in_log "job $1 is requeued, restart 1 of at most 5" "$2" || { tail -n 20 "$2" >&2; die "job $1 was not requeued"; }
  in_log "SIG$3 came: the run ends after step" "$2" || { tail -n 20 "$2" >&2; die "no SIG$3"; }
  within 60 in_log "resuming after step" "$2" || { tail -n 20 "$2" >&2; die "job $1 did not go on"; }
  echo "ok: after $SECONDS s, SIG$3, requeued and resumed"
}
expect_restart "$stopped" logs/limit.log TERM
expect_restart "$signalled" logs/signal.log USR1
scancel "$stopped" "$signalled"
within 60 all_idle 2 || die "the nodes are not free"
echo passed
