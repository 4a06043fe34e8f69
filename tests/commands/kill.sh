#!/usr/bin/env bash
# kill -9 of a random rank, of mpirun or of all at random moments, checkpoint writing included, then the same command again: the
# end is bitwise that of the run nobody disturbed. Prints the tally.
source "$(dirname "$0")/common.sh" "$@"
make_inputs
run=("$expunge" "${train[@]}" --max-steps 40 --save-steps 1 --save-total-limit 3 --learning-rate 3e-3 --quiet)

# kill_runs RUNS
kill_runs() {
  local runs=$1
  began=$(date +%s%N)
  ranks 2 "${run[@]}" --output-dir whole
  milliseconds=$((($(date +%s%N) - began) / 1000000))
  declare -A kills=([rank]=0 [mpirun]=0 [all]=0)
  total=0 writing=0 starts=0 before_first=0 locked_up=0
  for ((i = 1; i <= runs; ++i)); do
    rm -rf disturbed
    for ((start = 1; ; ++start)); do
      [[ $start -le 20 ]] || die "run $i does not end"
      starts=$((starts + 1))
      mpirun -n 2 --oversubscribe --bind-to none "${run[@]}" --output-dir disturbed >log.txt 2>&1 &
      launcher=$!
      # The first three starts of a run are disturbed.
      if ((start < 4)); then
        wait_ms=$((RANDOM * 32768 + RANDOM))
        wait_ms=$((wait_ms % milliseconds))
        sleep "$((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))"
        mapfile -t pids < <(pgrep -x expunge -P $launcher)
        whom=$(shuf -n 1 -e rank mpirun all)
        case $whom in
          rank) victims=("${pids[@]:RANDOM % (${#pids[@]} > 0 ? ${#pids[@]} : 1):1}") ;;
          mpirun) victims=("$launcher") ;;
          all) victims=("$launcher" "${pids[@]}") ;;
        esac
        if [[ ${#victims[@]} -gt 0 ]] && kill -9 "${victims[@]}" 2>>log.txt; then
          kills[$whom]=$((kills[$whom] + 1))
          total=$((total + 1))
          [[ -z $(compgen -G "disturbed/checkpoints/.*step-*") ]] || writing=$((writing + 1))
          [[ -n $(compgen -G "disturbed/checkpoints/step-*") ]] || before_first=$((before_first + 1))
        fi
      fi
      # mpirun of Open MPI 4.1 may lock up in its own last steps when a rank dies while it connects; all ranks are gone by then.
      for ((alone = 0; alone < 300; ++alone)); do
        kill -0 "$launcher" 2>>log.txt || break
        [[ -z $(pgrep -x expunge -P "$launcher" --runstates DRST) ]] || alone=0
        sleep 0.1
      done
      if ((alone == 300)); then
        kill -9 "$launcher"
        locked_up=$((locked_up + 1))
      fi
      code=0
      wait "$launcher" 2>>log.txt || code=$?
      for pid in "${pids[@]}"; do  # ranks outlive a killed mpirun for a moment
        while kill -9 "$pid" 2>>log.txt; do sleep 0.02; done
      done
      pids=()
      [[ $code == 0 ]] && break
      [[ $code == 137 || $code == 143 ]] || { cat log.txt >&2; die "run $i, start $start: exit $code"; }
    done
    same_parameters whole/checkpoints/step-000040 disturbed/checkpoints/step-000040 || die "run $i: the weights differ"
    h5diff whole/metrics.h5 disturbed/metrics.h5 /train/loss || die "run $i: the losses differ"
    ((i % 10)) || echo "$i runs of $runs, $total kills"
  done
  echo "passed: $runs runs, $total kills (${kills[rank]} of a rank, ${kills[mpirun]} of mpirun, ${kills[all]} of all), $writing of" \
    "them while a checkpoint was written, $before_first before the first; $starts starts, $locked_up of them with an mpirun that" \
    "locked up; every end bitwise equal, none lost"
}

case_few() { kill_runs 2; }
long_case_many() { kill_runs 100; }

run_case
