#!/usr/bin/env bash
# The whole study through a real Slurm of two nodes, submitted by submit.sh: unlearning is interrupted by the signal that Slurm sends
# before a time limit, then by preemption; it is requeued, goes on, is evaluated, attacked and reported, and its weights are
# bitwise those of a run that nobody disturbed. Usage: chain.sh EXPUNGE [demo]; demo: with the demo's corpus and model.
source "$(dirname "$0")/cluster.sh"
source "$(dirname "$0")/../commands/common.sh" "$1"
source "$root/tests/slurm/study.sh"
size=${2:-small}
start_cluster 2
write_env srun
"make_$size"

began=$SECONDS
elapsed() { echo "$((SECONDS - began)) s: $*"; }
# The undisturbed run takes the same way.
whole=$(sbatch --parsable "${rank_jobs[@]}" --output=logs/whole.log "$root/slurm/unlearn.sbatch" --model model --tokens tokens.h5 \
  --config study.cfg --output-dir whole)
expect_end "$whole" COMPLETED 0:0 logs/whole.log
elapsed "undisturbed run"
last=$(ls whole/checkpoints)
rm tokens.h5

study=(--model model --data texts --tokens tokens.h5 --max-length "$max_length" --config study.cfg --eval-config measure.cfg)
id() { awk -v stage="$1" '$1 == stage { print $2 }' "${2:-jobs.txt}"; }
# Held, so that no job ends before another study is submitted, which takes tokens and figures from these jobs.
echo 'every_job=(--hold)' >>env
"$root/slurm/submit.sh" "${study[@]}" --output-dir runs/study >jobs.txt
cat jobs.txt
[[ $(awk '{ print $1 }' jobs.txt | xargs) == "tokenize evaluate-before mia-before unlearn evaluate mia report" ]] || die "stages"
"$root/slurm/submit.sh" "${study[@]}" --output-dir runs/other >other.txt
for stage in tokenize mia-before; do
  [[ $(id $stage other.txt) == "$(id $stage)" ]] || { cat other.txt >&2; die "$stage is done twice"; }
done
scancel "$(id unlearn other.txt)" "$(id evaluate other.txt)" "$(id mia other.txt)" "$(id report other.txt)"
sed -i '/^every_job=/d' env
scontrol release "$(awk '{ print $2 }' jobs.txt | xargs | tr ' ' ,)"
unlearn=$(id unlearn)
log=$PWD/runs/logs/expunge-unlearn-$unlearn.log

within 120 in_log "unlearn [0-9]+/$steps" "$log" || { squeue >&2; tail -n 40 "$log" >&2; die "unlearn made no step"; }
elapsed "in the middle"
scancel --batch --signal=USR1 "$unlearn"
within 60 in_log "SIGUSR1 came: the run ends after step" "$log" || { tail -n 40 "$log" >&2; die "no word of the signal"; }
within 60 in_log "requeued, restart 1 of at most 5" "$log" || { tail -n 40 "$log" >&2; die "not requeued"; }
[[ $(field "$(id evaluate)" JobState) == PENDING ]] || die "evaluate did not wait"
elapsed "requeued"
restarted() { [[ $(grep -c "restart $1\$" "$log") == 1 && $(field "$unlearn" JobState) == RUNNING ]] && in_log "resuming after step" <(sed "1,/restart $1\$/d" "$log"); }
within 120 restarted 1 || { squeue >&2; tail -n 40 "$log" >&2; die "no restart"; }
elapsed "resumed"

# Another user's job takes the nodes: Slurm sends CONT and TERM to the ranks and requeues the job itself. Until then the ranks stand
# still, so that no machine is fast enough to end the run first.
scancel --signal=STOP "$unlearn"
sbatch --parsable --partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap="sleep 1" >/dev/null
within 60 in_log "SIGTERM came: the run ends after step" "$log" || { tail -n 40 "$log" >&2; die "no word of the preemption"; }
elapsed "preempted"
for stage in unlearn evaluate mia report; do
  expect_end "$(id $stage)" COMPLETED 0:0 "runs/logs/expunge-$stage-$(id $stage).log"
  elapsed "$stage ended"
done

# Nothing of the earlier starts is lost from the log.
[[ $(grep -c "unlearn ended with exit code 75" "$log") == 2 && $(grep -c "unlearn ended with exit code 0" "$log") == 1 ]] ||
  { tail -n 40 "$log" >&2; die "exit codes in the log"; }
same_parameters "whole/checkpoints/$last" "runs/study/checkpoints/$last" || die "the weights differ"
h5diff whole/metrics.h5 runs/study/metrics.h5 /train/loss || die "the losses differ"
first=$(ls runs/study/checkpoints | head -n 1)
[[ $first < $last ]] && ! same_parameters "whole/checkpoints/$last" "runs/study/checkpoints/$first" >/dev/null || die "no step was taken"
for measure in eval.h5 mia.h5 report.html; do [[ -s runs/study/$measure ]] || die "no $measure"; done
grep -q "papers" runs/study/report.html || die "an empty report"

# What is there already is not done again.
"$root/slurm/submit.sh" --model model --tokens tokens.h5 --config study.cfg --eval-config measure.cfg --output-dir runs/study >jobs.txt
[[ $(awk '{ print $1 }' jobs.txt | xargs) == "unlearn evaluate mia report" ]] || die "stages of a finished study"
expect_end "$(id report)" COMPLETED 0:0 "runs/logs/expunge-report-$(id report).log"
grep -q "finished already" "runs/logs/expunge-unlearn-$(id unlearn).log" || die "a finished run was run again"
elapsed "all"
echo passed
