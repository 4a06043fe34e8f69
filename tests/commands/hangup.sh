#!/usr/bin/env bash
# SIGHUP ends a run like SIGTERM, unless it was started to outlive its terminal; a terminal that is gone ends nothing by itself.
source "$(dirname "$0")/common.sh" "$1"
make_inputs
run=("$expunge" "${train[@]}" --learning-rate 1e-3 --max-steps 400)

# started LOG: waits until the run in the background has made a step.
started() {
  for _ in $(seq 600); do
    grep -q "train.* 3/400" "$1" 2>/dev/null && return
    sleep 0.05
  done
  cat "$1" >&2
  die "no step in 30 s"
}

# SIGHUP, as of a terminal that is closed, is SIGTERM. Under nohup it is ignored; so is SIGINT of a job in a shell's background.
"${run[@]}" --output-dir hung-up 2>log.txt &
job=$!
started log.txt
kill -HUP $job
job_ends 75 "after SIGHUP"
grep -q "SIGHUP came: the run ends after step" log.txt || { cat log.txt >&2; die "no word of SIGHUP"; }
rm log.txt
nohup "${run[@]}" --output-dir left-alone 2>log.txt &
job=$!
started log.txt
kill -HUP $job
kill -INT $job
wait $job || { cat log.txt >&2; die "exit $? of a run under nohup"; }
! grep -q "came" log.txt || die "a run under nohup heeds SIGHUP or, in the background, SIGINT"
# The terminal goes, and with it where the log went.
cat >in-terminal.sh <<'SH'
trap "" HUP
"$@"
echo $? >terminal-code.txt
SH
printf '%q ' bash in-terminal.sh "${run[@]}" --output-dir in-terminal >command.txt
script --quiet --flush --command "$(cat command.txt)" terminal.txt </dev/null >/dev/null &
job=$!
started terminal.txt
kill -9 $job
for _ in $(seq 600); do
  [[ -s terminal-code.txt ]] && break
  sleep 0.1
done
[[ $(cat terminal-code.txt) == 0 ]] || die "exit $(cat terminal-code.txt) of a run whose terminal is gone"
same_parameters left-alone/checkpoints/step-000400 in-terminal/checkpoints/step-000400 || die "the weights differ"
echo passed
