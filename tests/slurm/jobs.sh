#!/usr/bin/env bash
# How jobs end, with a real Slurm: exit codes reach Slurm through srun and mpirun; only an interruption is requeued, up to the cap,
# for tasks of an array alone; a cancelled job stays cancelled; a sweep whose tasks partly fail is reported.
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../commands/common.sh" "$1"
source "$root/tests/slurm/study.sh"
start_cluster 2
write_env srun
make_small
submit_job() { sbatch --parsable "${rank_jobs[@]}" "$@"; } # OPTIONS AND SCRIPT...
study=("$root/slurm/unlearn.sbatch" --config study.cfg)
unlearn=("${study[@]}" --model model --tokens tokens.h5)
starts() { grep -cE "job $1 on .*, restart [0-9]+$" "$2" 2>/dev/null || true; }
last_start() { tac "$1" | sed '/, restart [0-9]*$/q'; } # LOG, newest line first
stepping() { in_log "unlearn [0-9]+/$steps" "$1"; }

# 1. Exit codes, by both launchers: usage, bad input, output in the way, not finite.
echo "not HDF5" >broken.h5
cp -r model endless
printf '\xff\xff\xff\x7f' | dd of=endless/model.safetensors bs=1 seek=$(($(stat -c %s endless/model.safetensors) - 4)) conv=notrunc status=none
for launcher in srun mpirun; do
  write_env $launcher
  declare -A job=(
    [2]=$(submit_job --output=logs/2.log "${unlearn[@]}" --learning-rat 1 --output-dir $launcher-2)
    [3]=$(submit_job --output=logs/3.log "${study[@]}" --model model --tokens broken.h5 --output-dir $launcher-3)
    [4]=$(submit_job --output=logs/4.log "${unlearn[@]}" --output-dir model --resume-from-checkpoint none)
    [5]=$(submit_job --output=logs/5.log "${study[@]}" --model endless --tokens tokens.h5 --output-dir $launcher-5)
  )
  for code in 2 3 4 5; do
    expect_end "${job[$code]}" FAILED "$code:0" logs/$code.log
    [[ $(starts "${job[$code]}" logs/$code.log) == 1 ]] || die "a failure was requeued"
    grep -q "expunge: error" logs/$code.log || { cat logs/$code.log >&2; die "no message with $code"; }
    rm logs/$code.log
  done
  echo "ok: exit codes of $launcher"
done

# 2. mpirun in a job is interrupted and requeued like srun; the result is the same.
write_env srun
whole=$(submit_job --output=logs/whole.log "${unlearn[@]}" --output-dir whole)
expect_end "$whole" COMPLETED 0:0 logs/whole.log
write_env mpirun
again=$(submit_job --output=logs/again.log "${unlearn[@]}" --output-dir again)
within 60 stepping logs/again.log || { cat logs/again.log >&2; die "no step under mpirun"; }
scancel --batch --signal=USR1 "$again"
within 60 in_log "requeued, restart 1" logs/again.log || { cat logs/again.log >&2; die "not requeued under mpirun"; }
expect_end "$again" COMPLETED 0:0 logs/again.log
last=$(ls whole/checkpoints)
same_parameters "whole/checkpoints/$last" "again/checkpoints/$last" || die "weights under mpirun differ"
# Preemption ends mpirun's daemons before the ranks: the job is requeued all the same, and loses no more than time.
long=("${unlearn[@]}" --max-steps 2000 --save-steps 100)
whole=$(submit_job --output=logs/long.log "${long[@]}" --output-dir long)
expect_end "$whole" COMPLETED 0:0 logs/long.log
preempted=$(submit_job --output=logs/preempted.log "${long[@]}" --output-dir preempted)
within 60 in_log "unlearn [0-9]*50/2000" logs/preempted.log || { cat logs/preempted.log >&2; die "no step of the job to preempt"; }
sbatch --parsable --partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap="sleep 1" >/dev/null
within 60 in_log "requeued, restart 1" logs/preempted.log ||
  { cat logs/preempted.log >&2; die "not requeued after preemption under mpirun"; }
expect_end "$preempted" COMPLETED 0:0 logs/preempted.log
same_parameters long/checkpoints/step-002000 preempted/checkpoints/step-002000 || die "weights after preemption under mpirun differ"
echo "ok: mpirun"

# 3. The cap: with max_restarts=1 the second interruption is the job's end, and its dependents are cancelled.
write_env srun
sed -i 's/max_restarts=.*/max_restarts=1/' env
capped=$(submit_job --output=logs/capped.log "${unlearn[@]}" --output-dir capped)
after=$(submit_job --dependency="afterok:$capped" --kill-on-invalid-dep=yes --output=/dev/null --wrap=true)
for start in 1 2; do
  in_start() { [[ $(starts "$capped" logs/capped.log) == "$start" ]] && stepping <(last_start logs/capped.log); }
  within 60 in_start || { cat logs/capped.log >&2; die "start $start of the capped job"; }
  scancel --batch --signal=USR1 "$capped"
done
expect_end "$capped" FAILED 75:0 logs/capped.log
grep -q "restarted 1 times already" logs/capped.log || die "no word of the cap"
within 30 ended "$after" && [[ $(field "$after" JobState) == CANCELLED ]] || die "the dependent is $(field "$after" JobState)"
echo "ok: restart cap"

# 4. A cancelled job ends its step with a checkpoint, and is not brought back.
write_env srun
cancelled=$(submit_job --output=logs/cancelled.log "${unlearn[@]}" --output-dir cancelled)
within 60 stepping logs/cancelled.log || die "no step of the job to cancel"
scancel "$cancelled"
expect_end "$cancelled" CANCELLED 75:0 logs/cancelled.log
sleep 8 # a requeued one would be back
[[ $(field "$cancelled" JobState) == CANCELLED && $(starts "$cancelled" logs/cancelled.log) == 1 ]] || die "a cancelled job came back"
compgen -G "cancelled/checkpoints/step-*" >/dev/null || die "a cancelled job left no checkpoint"

# 5. A rank that is killed, as where memory runs out: the others wait for --collective-timeout, and one says who is missing.
killed=$(submit_job --output=logs/killed.log "${unlearn[@]}" --max-steps 100000 --collective-timeout 3 --output-dir killed)
within 60 in_log "unlearn [0-9]+/100000" logs/killed.log || { cat logs/killed.log >&2; die "no step of the job to lose a rank"; }
for pid in $(pgrep -x expunge); do
  if tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qx killed; then
    kill -9 "$pid"
    break
  fi
done
began=$SECONDS
expect_end "$killed" FAILED 6:0 logs/killed.log
grep -qE "error on rank [01] of 2: .*rank [01]" logs/killed.log || { cat logs/killed.log >&2; die "nobody says who is missing"; }
echo "ok: a killed rank, $((SECONDS - began)) s after the kill"

# 6. A sweep of 2 methods x 2 rates; one rate cannot work. The array's last task, whose job id is the array's own, is interrupted.
for method in ascent labels; do sed "s/^method.*/method = $method/" study.cfg >"$method.cfg"; done
sed -i 's/= ascent/= gradient_ascent/' ascent.cfg
sed -i 's/= labels/= random_label/' labels.cfg
"$root/slurm/submit.sh" --model model --tokens tokens.h5 --config METHOD.cfg --eval-config measure.cfg --output-dir sweep \
  --methods ascent,labels --domains papers --learning-rates 1e30,1e-6 >jobs.txt
sweep=$(awk '$1 == "sweep" { print $2 }' jobs.txt) report=$(awk '$1 == "report" { print $2 }' jobs.txt)
task_log() { echo "sweep/logs/expunge-sweep-${sweep}_$1.log"; }
within 90 stepping "$(task_log 3)" || { tail -n 20 sweep/logs/* >&2; die "no step of task 3"; }
scancel --batch --signal=USR1 "${sweep}_3"
within 60 in_log "job ${sweep}_3 is requeued" "$(task_log 3)" || { cat "$(task_log 3)" >&2; die "task 3 was not requeued"; }
within 120 ended "$report" || { squeue >&2; die "the sweep did not end"; }
states=$(for task in 0 1 2 3; do echo "$(field "${sweep}_$task" JobState) $(field "${sweep}_$task" ExitCode)"; done | xargs)
[[ $states == "FAILED 5:0 COMPLETED 0:0 FAILED 5:0 COMPLETED 0:0" ]] || { tail -n 20 sweep/logs/* >&2; die "tasks are $states"; }
for task in 0 1 2 3; do
  log=$(task_log $task)
  [[ $(grep -cE ", restart [0-9]+$" "$log") == $((task == 3 ? 2 : 1)) ]] || { cat "$log" >&2; die "starts of task $task"; }
done
[[ $(grep -c "ended with exit code 75" "$(task_log 3)") == 1 ]] || die "the exit code of task 3's first start is not in its log"
for run in papers-ascent-1e-6 papers-labels-1e-6; do
  [[ -s sweep/$run/eval.h5 && -s sweep/$run/mia.h5 ]] || die "$run was not measured"
  grep -q "$run" sweep/report.html || die "$run is not in the report"
done
[[ $(grep -c "left out, has no checkpoint" sweep/logs/expunge-report-"$report".log) == 2 ]] || die "the report names no run left out"
echo "ok: sweep"
echo passed
