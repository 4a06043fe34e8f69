#!/usr/bin/env bash
# The scripts without a cluster: shellcheck finds nothing, help and dry runs show what would be done, mistakes are named.
source "$(dirname "$0")/../commands/common.sh" "$@"
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^(SLURM|SBATCH|EXPUNGE)_' || true)
slurm=$root/slurm
export EXPUNGE_ENV=$work/env
sed "s#^expunge=.*#expunge=$expunge#" "$slurm/env.example" >env
mistake() { sed "s#^$1=.*#$1=$2#" env >wrong-env; } # NAME VALUE
mkdir -p "the models/Yi" texts
submit=("$slurm/submit.sh" --dry-run)
yi=(--model "the models/Yi" --tokens tokens.h5 --data texts --output-dir runs/one)
config=$root/configs/yi-6b-arxiv-gradient_ascent.cfg

case_shellcheck_and_help() {
  if command -v shellcheck >/dev/null; then
    shellcheck "$slurm"/*.sh "$slurm"/*.sbatch "$slurm/env.example" || die "shellcheck"
  else
    echo "shellcheck is not installed: the scripts are not checked by it"
  fi
  for script in "$slurm"/*.sbatch "$slurm/submit.sh"; do
    expect_exit 0 "^usage: .*(slurm/)?$(basename "$script")" "$script" --help
    ! grep -q "set -euo" out.txt || die "the help of $script goes on into the program"
  done
}

# The settings.
case_settings() {
  cp -r "$slurm" bare
  rm -f bare/env
  expect_exit 2 "there is no .*bare/env: copy" env -u EXPUNGE_ENV bare/submit.sh --dry-run
  expect_exit 2 "there is no .*bare/env: copy" env -u EXPUNGE_ENV bare/unlearn.sbatch --dry-run --model m
  mistake launcher mpiexec
  expect_exit 2 "wrong-env: launcher is 'mpiexec'" env EXPUNGE_ENV=wrong-env "$slurm/submit.sh"
  mistake expunge /nowhere/expunge
  expect_exit 2 "'/nowhere/expunge', which is not an executable" env EXPUNGE_ENV=wrong-env "$slurm/submit.sh"
  mistake max_restarts often
  expect_exit 2 "max_restarts is 'often'" env EXPUNGE_ENV=wrong-env "$slurm/submit.sh"
  expect_exit 2 "--model is missing" env EXPUNGE_ENV=env "$slurm/submit.sh"
}

# What is missing is named before anything is submitted.
case_what_is_missing() {
  expect_exit 2 "unknown option --modell" "${submit[@]}" --modell x
  expect_exit 2 "--model needs a value" "${submit[@]}" --model --tokens x
  expect_exit 2 "--config is missing" "${submit[@]}" "${yi[@]}"
  expect_exit 3 "--config: there is no file .*none.cfg" "${submit[@]}" "${yi[@]}" --config none.cfg
  expect_exit 3 "--model: there is no folder" "${submit[@]}" --model none --tokens tokens.h5 --config x --output-dir y
  expect_exit 3 "no .*/tokens.h5, and no --data" "${submit[@]}" "${yi[@]:0:4}" --config x --output-dir y
  expect_exit 2 "--max-length abc: expected a whole number" "${submit[@]}" "${yi[@]}" --config x --max-length abc
  expect_exit 2 "--at-once 0: expected a whole number" "${submit[@]}" "${yi[@]}" --config x --at-once 0
  expect_exit 2 "--output-dir: .*/env is there, and not a folder" "${submit[@]}" "${yi[@]:0:6}" --config x --output-dir env
  sweep=(--config "$root/configs/yi-6b-DOMAIN-METHOD.cfg" --methods gradient_ascent --domains arxiv)
  expect_exit 2 "--learning-rates: abc is not a number" "${submit[@]}" "${yi[@]}" "${sweep[@]}" --learning-rates 1e-5,abc
  expect_exit 2 "--learning-rates 1e-5,1e-5: 1e-5 is named twice" "${submit[@]}" "${yi[@]}" "${sweep[@]}" --learning-rates 1e-5,1e-5
  expect_exit 2 "--learning-rates 1e-5,: an empty name" "${submit[@]}" "${yi[@]}" "${sweep[@]}" --learning-rates 1e-5,
  [[ ! -e runs ]] || die "a mistake left something behind"
}

# The chain: each job waits for the success of the one before; names with spaces stay whole.
case_a_chain() {
  expect_exit 0 "^sbatch" "${submit[@]}" "${yi[@]}" --config "$config" -- --seed 7
  jobs=$(sed -nE 's/.*--job-name=expunge-([a-z-]+)-[0-9a-f]{12} .*/\1/p' out.txt | xargs)
  [[ $jobs == "tokenize evaluate-before mia-before unlearn evaluate mia report" ]] || die "jobs are $jobs"
  waits=$(sed -nE 's/.*--dependency=([a-z:,\\-]+).*/\1/p' out.txt | tr -d '\\' | xargs)
  [[ $waits == "afterok:tokenize afterok:evaluate-before afterok:tokenize afterok:unlearn afterok:evaluate afterok:mia-before,afterok:mia" ]] ||
    die "they wait for $waits"
  grep -q "unlearn.sbatch --model $work/the\\\\ models/Yi .*--seed 7" out.txt || { cat out.txt >&2; die "options of unlearn"; }
  grep -q -- "--gpus-per-node=8 .*unlearn.sbatch" out.txt || die "settings of the cluster"
  [[ ! -e runs ]] || die "a dry run made something"

  expect_exit 0 "unlearn.sbatch --model $work/texts " "$slurm/submit.sh" --tokens=tokens.h5 --dry-run --model=texts --data=texts \
    --config="$config" --output-dir=runs/one
  expect_exit 2 "^.*error: --domain is a line of the --config file" "${submit[@]}" "${yi[@]}" --config "$config" -- --domain code
  expect_exit 2 "error: --output-dir stands before the --" "${submit[@]}" "${yi[@]}" --config "$config" -- --seed 7 --output-dir=x
  expect_exit 0 "^usage:" "$slurm/submit.sh" -h
}

# Figures of the original model stay while they are newer than what they are of.
case_figures_of_the_original_model() {
  before="runs/before-Yi-arxiv"
  measured() { "${submit[@]}" "${yi[@]}" --config "$config" "$@" | grep -cE "name=expunge-(evaluate|mia)-before" | xargs; }
  mkdir runs
  echo tokens >tokens.h5
  echo "micro-batch-tokens = 512" >eval.cfg
  printf '%s\n' "$work/the models/Yi" "" "$work/tokens.h5" >$before.made-of
  touch $before-eval.h5 $before-mia.h5
  [[ $(measured) == 0 ]] || die "measured again"
  [[ $(measured --eval-config eval.cfg) == 2 ]] || die "figures of other options are kept"
  later() { sleep 0.05; touch "$@"; } # than the clock of files shows
  later "the models/Yi/model.safetensors"
  [[ $(measured) == 2 ]] || die "figures of another model are kept"
  later $before-eval.h5 $before-mia.h5
  [[ $(measured) == 0 ]] || die "measured once more"
  later tokens.h5
  [[ $(measured) == 2 ]] || die "figures of other tokens are kept"
  rm -r runs tokens.h5
}

# Where sbatch refuses the first job, nothing is left; a folder that was there stays.
case_a_refused_chain() {
  mkdir refusing
  printf '#!/bin/sh\necho "sbatch: error: invalid account" >&2\nexit 1\n' >refusing/sbatch
  printf '#!/bin/sh\n' >refusing/squeue
  chmod +x refusing/sbatch refusing/squeue
  expect_exit 1 "invalid account" env PATH="$PWD/refusing:$PATH" "$slurm/submit.sh" "${yi[@]}" --config "$config"
  [[ ! -e runs ]] || die "a refused chain left folders behind"
  mkdir runs
  expect_exit 1 "invalid account" env PATH="$PWD/refusing:$PATH" "$slurm/submit.sh" "${yi[@]}" --config "$config"
  [[ -d runs && -z $(ls -A runs) ]] || die "a refused chain took or left a folder"
  rmdir runs
}

# The sweep over the study's configurations: all exist, and name their own domain.
case_a_sweep() {
  all=gradient_ascent,random_label,adversarial,ascent_plus_descent,ascent_plus_descent_general,ascent_plus_kl_divergence
  sweep=(--methods "$all,ascent_plus_kl_divergence_general" --domains arxiv,github --learning-rates 1e-5,2e-5,4e-5)
  expect_exit 0 "array=0-41%4 " "${submit[@]}" "${yi[@]}" "${sweep[@]}" --config "$root/configs/yi-6b-DOMAIN-METHOD.cfg" --at-once 4
  [[ $(tail -n 1 out.txt | grep -oE "/runs/one/(arxiv|github)-[^ ]+" | sort -u | wc -l) == 42 ]] || die "runs of the report"
  expect_exit 2 "domain is 'arxiv'; expected github" "${submit[@]}" "${yi[@]}" "${sweep[@]}" --config "$root/configs/yi-6b-arxiv-METHOD.cfg"
  expect_exit 2 "a sweep needs" "${submit[@]}" "${yi[@]}" --methods gradient_ascent --config "$config"
  expect_exit 2 "with --array=0-1" env SLURM_ARRAY_TASK_ID=2 "$slurm/sweep.sbatch" --dry-run --model m --tokens t --config c \
    --output-dir o --methods a --domains d --learning-rates 1,2
  expect_exit 0 "srun .* unlearn --model m .*--config c-d-b --learning-rate 2 --output-dir o/d-b-2" env SLURM_ARRAY_TASK_ID=3 \
    "$slurm/sweep.sbatch" --dry-run --model m --tokens t --config c-DOMAIN-METHOD --output-dir o --methods a,b --domains d \
    --learning-rates 1,2
}

# No Slurm at all: a job's script runs where it stands, under mpirun.
case_without_slurm() {
  sed -i 's/^launcher=.*/launcher=mpirun/' env
  expect_exit 2 "expunge: error" env EXPUNGE_RANKS=2 "$slurm/unlearn.sbatch" --modell x
  # An mpirun that has lost its ranks and does not end itself.
  mkdir bin
  printf '#!/bin/sh\nexec sleep 300\n' >bin/mpirun
  chmod +x bin/mpirun
  cp -r "$slurm" impatient
  sed -i 's/patience=60/patience=3/' impatient/job.sh
  expect_exit 137 "no rank any more and does not end: killed" env PATH="$PWD/bin:$PATH" timeout 60 impatient/unlearn.sbatch --model m
}

run_case
