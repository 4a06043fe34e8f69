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

# Reads slurm/env, or the file that EXPUNGE_ENV names, into the variables that env.example explains.
load_settings() { # FOLDER of the scripts
  local file=${EXPUNGE_ENV:-$1/env}
  [[ -f $file ]] || fail 2 "there is no $file: copy $1/env.example to $1/env and edit it, or let EXPUNGE_ENV name your own"
  file=$(realpath -- "$file") # `source` looks a name without a slash up in PATH, where there is an `env`
  expunge="" launcher=srun max_restarts=20 every_job=() rank_jobs=() one_process_jobs=() launch_options=() container=()
  prepare() { true; }
  # shellcheck source=env.example
  source "$file" || fail 2 "$file ended with an error"
  export EXPUNGE_ENV=$file
  [[ $launcher == srun || $launcher == mpirun ]] || fail 2 "$file: launcher is '$launcher'; expected srun or mpirun"
  [[ $max_restarts =~ ^[0-9]+$ ]] || fail 2 "$file: max_restarts is '$max_restarts'; expected a number"
  # In a container the executable has a path of its own, unseen from here.
  ((${#container[@]} + ${#launch_options[@]})) || [[ -f $expunge && -x $expunge ]] ||
    fail 2 "$file: expunge is '$expunge', which is not an executable file"
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
  local option name
  for option in "${more[@]}"; do
    name=${option%%=*}
    case $name in
      --model | --tokens | --output-dir | --config) fail 2 "$name stands before the --, as an option of this script" ;;
      --domain) fail 2 "$name is a line of the --config file, or --domains of a sweep, and not an option behind --" ;;
      --method | --learning-rate)
        [[ -z $methods$learning_rates ]] || fail 2 "$name is --${name#--}s of the sweep, and not an option behind --" ;;
    esac
  done
}

# Two tasks of a sweep with the same names would share a run folder.
check_list() { # OPTION LIST
  [[ ,$2, != *,,* ]] || fail 2 "$1 $2: an empty name between commas"
  local twice
  twice=$(tr , '\n' <<<"$2" | sort | uniq -d | xargs)
  [[ -z $twice ]] || fail 2 "$1 $2: $twice is named twice"
}

# A sweep's `combinations`, "domain method rate" each: rates vary fastest, so that an array's first tasks are comparable.
sweep_combinations() {
  local domain method rate domain_list method_list rate_list
  IFS=, read -ra domain_list <<<"$domains"
  IFS=, read -ra method_list <<<"$methods"
  IFS=, read -ra rate_list <<<"$learning_rates"
  combinations=()
  [[ -n $domains && -n $methods && -n $learning_rates ]] || return 0
  check_list --domains "$domains"
  check_list --methods "$methods"
  check_list --learning-rates "$learning_rates"
  for rate in "${rate_list[@]}"; do
    [[ $rate =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$ ]] || fail 2 "--learning-rates: $rate is not a number above 0"
  done
  for domain in "${domain_list[@]}"; do
    for method in "${method_list[@]}"; do
      for rate in "${rate_list[@]}"; do combinations+=("$domain $method $rate"); done
    done
  done
}

# The template --config with a sweep's domain and method.
config_of() { # DOMAIN METHOD
  local file=${config//DOMAIN/$1}
  printf '%s' "${file//METHOD/$2}"
}
