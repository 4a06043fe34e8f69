#!/usr/bin/env bash
# Submits a study to Slurm: tokenize -> unlearn -> evaluate -> mia -> report, each when the one before it has succeeded.
# usage: slurm/submit.sh [--dry-run] --model DIR --tokens FILE [--data DIR] --config FILE --output-dir RUN [OPTIONS]
#                        [-- OPTIONS OF expunge unlearn]
#        slurm/submit.sh [--dry-run] --model DIR --tokens FILE [--data DIR] --config TEMPLATE --output-dir RUNS
#                        --methods LIST --domains LIST --learning-rates LIST [OPTIONS] [-- OPTIONS OF expunge unlearn]
#
#   slurm/submit.sh --model models/Yi-6B --data texts --tokens tokens.h5 \
#     --config configs/yi-6b-arxiv-gradient_ascent.cfg --output-dir runs/arxiv-ascent
#   slurm/submit.sh --model models/Yi-6B --data texts --tokens tokens.h5 --config configs/yi-6b-DOMAIN-METHOD.cfg \
#     --output-dir runs --methods gradient_ascent,ascent_plus_descent --domains arxiv,github --learning-rates 1e-5,2e-5
#
# Prints a line "stage job-id" for each job. tokens.h5 and the original model's figures that a job of another call is to make
# already are waited for, and not made twice. The second form is a sweep: an array job of methods x domains x rates, in which
# DOMAIN and METHOD in TEMPLATE stand for a task's own. The original model is measured, too, beside the unlearning, unless that was done
# before: before-<model>-<domain>-eval.h5 and -mia.h5 next to the run stay while they are newer than the model, the token file and
# the --eval-config that before-<model>-<domain>.made-of names. When a job fails, those that wait for it are cancelled;
# submit the same again to go on.
#
#   --model DIR          model that is to forget
#   --tokens FILE        token file; where it is not there yet, a job makes it from --data
#   --data DIR           texts, DIR/<domain>/<split>.jsonl
#   --max-length N       ids in a sequence, for that job [4096]
#   --config FILE        options of expunge unlearn, as in configs/
#   --output-dir DIR     run folder; in a sweep, the folder of all of them; logs lie in logs/ beside the run, or in it
#   --eval-config FILE   options of expunge eval and mia
#   --methods, --domains, --learning-rates LIST    of a sweep, separated by commas
#   --at-once N          most tasks of the sweep at a time
#   --dry-run            print the lines for sbatch instead
#
# Partition, account, nodes, GPUs, modules and container come from slurm/env (slurm/env.example), or the file EXPUNGE_ENV names.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
source "$here/common.sh"

dry_run=false submitted=() made=() queue=""
# The jobs that wait or run, "id name" each, in `queue`.
read_queue() {
  local ask_slurm=(squeue --noheader "--states=PENDING,CONFIGURING,RUNNING,SUSPENDED" "--format=%F %j")
  if $dry_run; then
    queue=$("${ask_slurm[@]}" 2>/dev/null) || queue="" # away from the cluster
  else
    queue=$("${ask_slurm[@]}") || fail 2 "squeue does not say which jobs are queued"
  fi
}

# A job's name tells what it makes, by a hash of the real path: other calls of submit.sh find it by that.
name_job() { # STAGE FILE
  local hash
  hash=$(realpath --canonicalize-missing -- "$2" | sha256sum)
  job_name=expunge-$1-${hash:0:12}
}

# find_queued STAGE FILE: the job that is to make FILE, in `job`; false where there is none. Of several the newest: it waits for
# the others.
find_queued() {
  name_job "$1" "$2"
  job=$(awk -v name="$job_name" '$2 == name && $1 > newest { newest = $1 } END { print newest }' <<<"$queue")
  [[ -n $job ]]
}

# wait_for STAGE FILE: leaves the making of FILE to the job that is queued for it; false where there is none.
wait_for() {
  find_queued "$1" "$2" || return 1
  $dry_run || printf '%-16s %s (queued already)\n' "$1" "$job"
}

# yield_to_earlier STAGE DEPENDENCY: takes `job` back where another call queued the same tokenizing at the same moment, and
# leaves the making of the file to that job; false where none did.
yield_to_earlier() {
  local earlier
  [[ $1 == tokenize && -z $2 ]] || return 1
  read_queue
  earlier=$(awk -v name="$job_name" -v own="$job" '$2 == name && $1 < own && (!least || $1 < least) { least = $1 } END { print least }' <<<"$queue")
  [[ -n $earlier ]] || return 1
  scancel "$job"
  job=$earlier
  printf '%-16s %s (queued already)\n' "$1" "$job"
}

# submit STAGE FILE DEPENDENCY [OPTIONS OF sbatch] SCRIPT OPTIONS...: a job that makes FILE; its id, in a dry run the stage's
# name, in `job`. Where another job makes that file by other options, it waits for that one to end.
submit() {
  local stage=$1 dependency=$3 line
  if find_queued "$stage" "$2"; then dependency+=${dependency:+,}afterany:$job; fi
  line=(sbatch --parsable --export=ALL --kill-on-invalid-dep=yes "--job-name=$job_name")
  [[ -z $dependency ]] || line+=("--dependency=$dependency")
  line+=("${every_job[@]}" "--output=$logs/expunge-$stage-%j.log" "${@:4}")
  if $dry_run; then
    printf '%s\n' "$(printf '%q ' "${line[@]}")"
    job=$stage
  else
    job=$("${line[@]}")
    job=${job%%;*} # id;cluster where there are several
    yield_to_earlier "$stage" "$dependency" && return
    submitted+=("$job")
    printf '%-16s %s\n' "$stage" "$job"
  fi
}

# No half a chain: where sbatch refuses a job, those before it are taken back, or the folders made for the first.
take_back() {
  local code=$?
  if ((code != 0 && ${#submitted[@]})); then
    say "taking back jobs ${submitted[*]}"
    scancel "${submitted[@]}"
  elif ((code != 0 && ${#made[@]})); then
    rmdir "${made[@]}" 2>/dev/null || true
  fi
}
trap take_back EXIT

# Behind a link, ".." leads elsewhere than the text says.
absolute() {
  local links=--no-symlinks
  [[ /$1/ != */../* ]] || links=--physical
  [[ -z $1 ]] || realpath --canonicalize-missing "$links" -- "$1"
}

check_options() {
  local option path
  for option in model tokens config output_dir; do
    [[ -n ${!option} ]] || fail 2 "--${option//_/-} is missing; --help lists the options"
  done
  for option in max_length at_once; do
    [[ -z ${!option} || ${!option} =~ ^[1-9][0-9]*$ ]] || fail 2 "--${option//_/-} ${!option}: expected a whole number above 0"
  done
  for option in model data tokens config output_dir eval_config; do
    path=$(absolute "${!option}")
    printf -v "$option" %s "$path"
  done
  need folder "$model" --model
  [[ ! -e $output_dir || -d $output_dir ]] || fail 2 "--output-dir: $output_dir is there, and not a folder"
  [[ -z $eval_config ]] || need file "$eval_config" --eval-config
  $dry_run || command -v sbatch >/dev/null || fail 2 "there is no sbatch here: this is not a machine of a Slurm cluster"
  read_queue
  if [[ ! -f $tokens ]] && ! find_queued tokenize "$tokens"; then
    [[ -n $data ]] || fail 3 "--tokens: there is no $tokens, and no --data to make it from"
    need folder "$data" --data
  fi
}

# The program reads the options of `expunge unlearn` as a job will: a mistake in them, or another domain, ends here.
check_config() { # FILE OPTIONS...
  need file "$1" --config
  ask_program unlearn --model "$model" --tokens "$tokens" --config "$1" "${@:2}" "${more[@]}"
}

check_eval_config() {
  local command
  [[ -n $eval_config ]] || return 0
  for command in eval mia; do
    ask_program $command --model "$model" --tokens "$tokens" --domain "$1" --config "$eval_config" --output "$output_dir/$command.h5"
  done
}

# Which runs: the tasks of a sweep, or the one of the configuration; their domains in `domain_list`.
plan() {
  local task checked=""
  sweep=false
  if [[ -n $methods$domains$learning_rates ]]; then
    sweep=true
    sweep_tasks
    ((${#run_of[@]})) || fail 2 "a sweep needs --methods, --domains and --learning-rates"
    for task in "${!run_of[@]}"; do
      config_of "${domain_of[task]}" "${method_of[task]}"
      [[ $file != "$checked" ]] || continue
      check_config "$file" --learning-rate "${rate_of[task]}" --output-dir "$output_dir/${run_of[task]}"
      [[ ${answer[domain]} == "${domain_of[task]}" ]] || fail 2 "$file: domain is '${answer[domain]}'; expected ${domain_of[task]}"
      checked=$file
    done
    split_list --domains "$domains"
    domain_list=("${names[@]}")
    study=$output_dir
  else
    check_config "$config" --output-dir "$output_dir"
    domain_list=("${answer[domain]}")
    study=$(dirname "$output_dir")
  fi
  check_eval_config "${domain_list[0]}"
  [[ $study != *\\* ]] || fail 2 "--output-dir $output_dir: Slurm writes no logs to a folder with a backslash in its name"
  logs=${study//%/%%}/logs # in sbatch's patterns
}

# The stages before the report, in `waits` what the report waits for.
submit_measures() { # STAGE-SUFFIX DEPENDENCY MODEL DOMAIN EVAL-FILE MIA-FILE
  local options=(--model "$3" --tokens "$tokens" --domain "$4" --overwrite ${eval_config:+--config "$eval_config"})
  submit "evaluate$1" "$5" "$2" "${rank_jobs[@]}" "$here/evaluate.sbatch" "${options[@]}" --output "$5"
  submit "mia$1" "$6" "afterok:$job" "${rank_jobs[@]}" "$here/mia.sbatch" "${options[@]}" --output "$6"
  waits+=("$job")
}

# Whether the figures of the original model are there, and of the same inputs as they are now.
measured() { # BEFORE INPUTS
  local file input
  for file in "$1-eval.h5" "$1-mia.h5"; do
    for input in "$1.made-of" "$tokens" "$model/config.json" "$model"/*.safetensors "$model/checkpoints" "${eval_config:-$tokens}"; do
      [[ -f $file && ! $input -nt $file ]] || return 1
    done
  done
  made_of "$@"
}
made_of() { [[ -f $1.made-of && $(<"$1.made-of") == "$2" ]]; } # BEFORE INPUTS

# The original model's figures on a domain: there already, to come from a job that is queued, or made by two jobs.
submit_before() { # DOMAIN DEPENDENCY
  local before inputs=$model$'\n'$eval_config$'\n'$tokens
  before=$study/before-$(basename "$model")-$1
  report+=(--before "$before-eval.h5" --before "$before-mia.h5")
  ! measured "$before" "$inputs" || return 0
  if made_of "$before" "$inputs" && wait_for mia-before "$before-mia.h5"; then
    waits+=("$job")
    return
  fi
  submit_measures -before "$2" "$model" "$1" "$before-eval.h5" "$before-mia.h5"
  $dry_run || printf '%s\n' "$inputs" >"$before.made-of"
}

make_logs() {
  local folder=$1
  while [[ ! -d $folder ]]; do made+=("$folder") folder=$(dirname "$folder"); done
  mkdir -p "$1"
}

submit_all() {
  local first="" domain report=() waits=() tokenizer=$model array run runs=()
  $dry_run || make_logs "$study/logs"
  [[ -f $model/tokenizer.model ]] || tokenizer=$model/model # of a run folder
  if [[ ! -f $tokens ]]; then
    if ! wait_for tokenize "$tokens"; then
      submit tokenize "$tokens" "" "${one_process_jobs[@]}" "$here/tokenize.sbatch" --tokenizer "$tokenizer" --data "$data" \
        --output "$tokens" --max-length "${max_length:-4096}"
    fi
    first=afterok:$job
  fi
  for domain in "${domain_list[@]}"; do submit_before "$domain" "$first"; done
  if $sweep; then
    array=0-$((${#run_of[@]} - 1))${at_once:+%$at_once}
    submit sweep "$output_dir" "$first" "${rank_jobs[@]}" "--output=$logs/expunge-sweep-%A_%a.log" "--array=$array" \
      "$here/sweep.sbatch" --model "$model" --tokens "$tokens" --config "$config" --output-dir "$output_dir" \
      --methods "$methods" --domains "$domains" --learning-rates "$learning_rates" ${eval_config:+--eval-config "$eval_config"} \
      -- "${more[@]}"
    # A task that failed, perhaps at a rate too high, leaves the report to the others.
    waits=("afterany:$job" "${waits[@]/#/afterok:}")
    for run in "${run_of[@]}"; do runs+=("$output_dir/$run"); done
  else
    submit unlearn "$output_dir" "$first" "${rank_jobs[@]}" "$here/unlearn.sbatch" --model "$model" --tokens "$tokens" \
      --config "$config" --output-dir "$output_dir" "${more[@]}"
    submit_measures "" "afterok:$job" "$output_dir" "${domain_list[0]}" "$output_dir/eval.h5" "$output_dir/mia.h5"
    waits=("${waits[@]/#/afterok:}")
    runs=("$output_dir")
  fi
  submit report "$output_dir/report.html" "$(IFS=,; printf %s "${waits[*]}")" "${one_process_jobs[@]}" "$here/report.sbatch" \
    "${runs[@]}" "${report[@]}" --output "$output_dir/report.html" --overwrite
}

case ${1:-} in -h | --help) show_help "$0"; exit ;; esac
load_settings "$here"
parse_options "$@"
check_options
plan
export EXPUNGE_SLURM=$here
submit_all
