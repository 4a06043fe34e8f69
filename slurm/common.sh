# What submit.sh and the jobs share: messages, checks, the settings of the cluster. Sourced.
# shellcheck shell=bash disable=SC2034,SC2317

name=$(basename "$0")
name=${SLURM_JOB_NAME:-$name}
say() { printf '%s: %s\n' "$name" "$1" >&2; }
fail() { # CODE MESSAGE; the codes are those of expunge
  say "error: $2"
  exit "$1"
}

need() { # file|folder PATH OPTION
  [[ $1 == file && -f $2 || $1 == folder && -d $2 ]] || fail 3 "$3: there is no $1 $2"
}

# The comment at the top of a script, from its first line "# usage:" on.
show_help() { sed -n '/^# usage:/,/^[^#]/ { /^#/ s/^# \{0,1\}//p }' "$1"; }

# The executable that belongs to the scripts in FOLDER: bin/expunge of an installation, build/expunge of a clone, or PATH's.
find_program() { # FOLDER
  local file
  for file in "$1/../../../bin/expunge" "$1/../build/expunge"; do
    [[ ! -x $file ]] || { realpath --no-symlinks -- "$file"; return; }
  done
  command -v expunge || true
}

# Reads slurm/env, or the file that EXPUNGE_ENV names, into the variables that env.example explains.
load_settings() { # FOLDER of the scripts
  local file=${EXPUNGE_ENV:-$1/env}
  [[ -f $file ]] || fail 2 "there is no $file: copy $1/env.example to $1/env and edit it, or let EXPUNGE_ENV name your own"
  file=$(realpath -- "$file") # `source` looks a name without a slash up in PATH, where there is an `env`
  expunge="" launcher=srun max_restarts=20 every_job=() rank_jobs=() one_process_jobs=() launch_options=() container=() ask=()
  prepare() { true; }
  # shellcheck source=env.example
  source "$file" || fail 2 "$file ended with an error"
  [[ -n $expunge ]] || expunge=$(find_program "$1")
  export EXPUNGE_ENV=$file
  [[ $launcher == srun || $launcher == mpirun ]] || fail 2 "$file: launcher is '$launcher'; expected srun or mpirun"
  [[ $max_restarts =~ ^[0-9]+$ ]] || fail 2 "$file: max_restarts is '$max_restarts'; expected a number"
  # In a container the executable has a path of its own, unseen from here.
  ((${#container[@]} + ${#launch_options[@]})) || [[ -f $expunge && -x $expunge ]] ||
    fail 2 "$file: expunge is '$expunge', which is not an executable file"
  ((${#ask[@]})) || ask=("${container[@]}" "$expunge")
}

# ask_program COMMAND OPTIONS...: what expunge COMMAND takes by these options and their --config, in `answer` by its name. Config
# files are read by the program alone, which says what is wrong with them.
ask_program() {
  local text line code=0
  text=$("${ask[@]}" "$@" --print-config) || code=$?
  ((code != 2)) || exit 2
  ((code == 0)) || fail 2 "$EXPUNGE_ENV: '${ask[*]}' ended with exit code $code; let 'ask' start expunge on this machine"
  declare -gA answer=()
  while IFS= read -r line; do
    [[ $line != *" = "* || $line == "#"* ]] || answer[${line%%" = "*}]=${line#*" = "}
  done <<<"$text"
}

# The options of submit.sh and sweep.sbatch into variables of the same names; what stands behind `--` into `more`.
parse_options() {
  local option
  model="" data="" tokens="" config="" output_dir="" methods="" domains="" learning_rates="" eval_config="" max_length=""
  at_once="" more=()
  while (($#)); do
    if [[ $1 == --*=* ]]; then set -- "${1%%=*}" "${1#*=}" "${@:2}"; fi
    case $1 in
      --model | --data | --tokens | --config | --output-dir | --methods | --domains | --learning-rates | --eval-config | \
        --max-length | --at-once)
        [[ $# -gt 1 && $2 != --* ]] || fail 2 "$1 needs a value"
        [[ $2 != *$'\n'* ]] || fail 2 "$1: a line break stands in its value"
        option=${1#--}
        printf -v "${option//-/_}" %s "$2"
        shift 2
        ;;
      --dry-run) dry_run=true; shift ;;
      --) more=("${@:2}"); check_more; break ;;
      *) fail 2 "unknown option $1; --help lists them, and options of expunge unlearn stand behind --" ;;
    esac
  done
}

# The later stages need to know these, too.
check_more() {
  local option key
  for option in "${more[@]}"; do
    key=${option%%=*} key=${key//_/-}
    case $key in
      --model | --tokens | --output-dir | --config) fail 2 "$key stands before the --, as an option of this script" ;;
      --domain) fail 2 "$key is a line of the --config file, or --domains of a sweep, and not an option behind --" ;;
      --method | --learning-rate)
        [[ -z $methods$learning_rates ]] || fail 2 "$key is --${key#--}s of the sweep, and not an option behind --" ;;
    esac
  done
}

# Names of a list, which stand between commas, in `names`.
split_list() { # OPTION LIST
  local each seen=$'\n'
  [[ ,$2, != *,,* ]] || fail 2 "$1 $2: an empty name between commas"
  IFS=, read -ra names <<<"$2"
  for each in "${names[@]}"; do
    [[ $seen != *$'\n'"$each"$'\n'* ]] || fail 2 "$1 $2: $each is named twice"
    seen+=$each$'\n'
  done
}

# The tasks of a sweep, in `domain_of`, `method_of`, `rate_of` and `run_of` (the name of the run folder) by their number: rates
# vary fastest, so that an array's first tasks are comparable.
sweep_tasks() {
  local domain method rate run domain_list method_list rate_list seen=$'\n'
  domain_of=() method_of=() rate_of=() run_of=()
  [[ -n $domains && -n $methods && -n $learning_rates ]] || return 0
  split_list --domains "$domains"
  domain_list=("${names[@]}")
  split_list --methods "$methods"
  method_list=("${names[@]}")
  split_list --learning-rates "$learning_rates"
  rate_list=("${names[@]}")
  for rate in "${rate_list[@]}"; do
    [[ $rate =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] || fail 2 "--learning-rates: $rate is not a number above 0"
  done
  for domain in "${domain_list[@]}"; do
    for method in "${method_list[@]}"; do
      for rate in "${rate_list[@]}"; do
        run=$domain-$method-$rate
        [[ $seen != *$'\n'"$run"$'\n'* ]] || fail 2 "two tasks would have the run folder $run: rename a domain or a config"
        seen+=$run$'\n'
        domain_of+=("$domain") method_of+=("$method") rate_of+=("$rate") run_of+=("$run")
      done
    done
  done
}

# The template --config with a sweep's domain and method in `file`. What a name holds (&, METHOD) is not replaced again.
config_of() { # DOMAIN METHOD
  local rest=$config part
  file=""
  while [[ $rest == *DOMAIN* ]]; do
    part=${rest%%DOMAIN*} rest=${rest#*DOMAIN}
    file+=${part//METHOD/"$2"}$1
  done
  file+=${rest//METHOD/"$2"}
}
