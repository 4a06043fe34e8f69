# What every job does: settings, launch, signals, and requeueing when interrupted. Sourced by the *.sbatch files.
# shellcheck shell=bash disable=SC2154
#
# sbatch's --signal=B:USR1@T reaches this shell alone, which passes it on; expunge finishes its step, writes a checkpoint and
# exits 75; then the job is requeued, and starts again here. Slurm itself sends TERM to the steps (time limit, scancel,
# preemption): that is not passed on, for a second signal would end the ranks at once.

# shellcheck source=common.sh
source "$here/common.sh"
dry_run=false
case ${1:-} in
  --help) show_help "$0"; exit ;;
  --dry-run) dry_run=true; shift ;;
esac
load_settings "$here"

signal="" signals=0 step=""
note_signal() {
  signal=$1 signals=$((signals + 1))
  say "$(date '+%F %T') SIG$1 came"
  [[ $1 == TERM || -z $step ]] || kill -USR1 "$step" 2>/dev/null || true
}
trap 'note_signal USR1' USR1
trap 'note_signal TERM' TERM

# mpirun of Open MPI 4.1 may lock up in its own last steps when a rank dies while it connects: it is ended once it has been
# without a child (ranks, or the daemons that started them) for a minute.
end_childless() { # PID
  local since=$SECONDS patience=60 found
  while sleep 2 && kill -0 "$1" 2>/dev/null; do
    found=0
    pgrep -P "$1" --runstates DRST >/dev/null 2>&1 || found=$?
    ((found == 1)) || since=$SECONDS # 1: no child; more: pgrep does not know
    ((SECONDS - since < patience)) || { say "the launcher has no rank any more and does not end: killed"; kill -9 "$1"; }
  done
}

# Runs a command in the background, so that a trap can run at once; its exit code in `code`.
run_step() {
  local seen status guard=""
  printf '$ %s\n' "$(printf '%q ' "$@")"
  ! $dry_run || { code=0; return; }
  # A signal that came while nothing ran (modules, between two steps) would be lost on a step that starts now.
  [[ $signal != USR1 ]] || { code=75; return; }
  "$@" &
  step=$! code=127
  if [[ $1 == mpirun ]]; then end_childless $step & guard=$!; fi
  while true; do # wait returns early when a trap has run
    seen=$signals status=0
    wait "$step" || status=$?
    ((status == 127)) || code=$status
    ((seen != signals)) || break
  done
  step=""
  [[ -z $guard ]] || kill "$guard" 2>/dev/null || true
}

# Slurm's TERM at a preemption reaches mpirun's daemons, too, which end at once and take the ranks with them.
preempted_under_mpirun() {
  [[ $launcher == mpirun && -n ${SLURM_JOB_ID:-} ]] && scontrol show job "$SLURM_JOB_ID" 2>/dev/null | grep -q 'PreemptTime=[0-9]'
}

# requeue WHAT-HAPPENED. The restart cap counts every start after the first, also those that Slurm made because a node failed.
requeue() {
  local what=$1 restarts=${SLURM_RESTART_COUNT:-0} state id=${SLURM_JOB_ID:-}
  [[ -n $id ]] || { say "$what: start the same command again to go on"; exit 75; }
  if ((restarts >= max_restarts)); then
    say "$what, but restarted $restarts times already, as often as max_restarts allows: submit it again to go on"
    exit 75
  fi
  # A job that was cancelled, or that Slurm requeues by itself, is COMPLETING: scontrol would bring a cancelled one back.
  state=$(squeue --noheader --jobs="$id" --format='%T %r') || state="not known to Slurm"
  if [[ $state != "RUNNING "* && $state != *" TimeLimit" ]]; then
    say "$what; the job is ${state% None} and is not requeued from here"
    exit 75
  fi
  # An array's last task has the array's own id as job id, which would requeue all of its tasks.
  [[ -z ${SLURM_ARRAY_JOB_ID:-} ]] || id=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  say "$what: job $id is requeued, restart $((restarts + 1)) of at most $max_restarts"
  scontrol requeue "$id" || { say "scontrol could not requeue job $id: submit it again to go on"; exit 75; }
  sleep 60 # Slurm ends this shell
  exit 75
}

# expunge_on_ranks COMMAND OPTIONS...: under the launcher, on the ranks of the job. Returns when it is done; any other end is the job's.
expunge_on_ranks() {
  local launch
  case $launcher in
    # Without kill-on-bad-exit=0, a slurm.conf with KillOnBadExit=1 kills the ranks that exit 75 a moment after the first.
    # Since Slurm 22.05 a step does not inherit the job's --cpus-per-task.
    srun) launch=(srun --mpi=pmix --kill-on-bad-exit=0 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"}) ;;
    mpirun) launch=(mpirun -n "${SLURM_NTASKS:-${EXPUNGE_RANKS:-1}}" --bind-to none) ;;
  esac
  run_step "${launch[@]}" "${launch_options[@]}" "${container[@]}" "$expunge" "$@"
  conclude "$1"
}

# expunge_alone COMMAND OPTIONS...: one process.
expunge_alone() {
  run_step "${container[@]}" "$expunge" "$@"
  conclude "$1"
}

conclude() {
  ! $dry_run || return 0
  say "$(date '+%F %T') $1 ended with exit code $code"
  case $code in
    0) ;;
    75) requeue "interrupted where it can go on" ;;
    # 128 + USR1: the signal came before expunge could catch it. Nothing but time is lost.
    138) if [[ $signal == USR1 ]]; then requeue "interrupted before the run began"; else exit "$code"; fi ;;
    *) if preempted_under_mpirun; then requeue "preempted, with what the newest checkpoint holds"; else exit "$code"; fi ;;
  esac
}

if ! $dry_run; then
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}
  say "$(date '+%F %T') job ${SLURM_JOB_ID:-(none)} on ${SLURM_JOB_NODELIST:-$(hostname)}, restart ${SLURM_RESTART_COUNT:-0}"
  set +u # module files are seldom written for it
  prepare || fail 2 "prepare in $EXPUNGE_ENV failed"
  set -u
fi
