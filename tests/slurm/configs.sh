#!/usr/bin/env bash
# What submit.sh knows of a config file is what the program says of it: line ends of Windows, tabs, comments, mistakes. And names
# of domains, models and folders reach the jobs whatever characters they have.
source "$(dirname "$0")/../commands/common.sh" "$1"
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^(SLURM|SBATCH|EXPUNGE)_' || true)
slurm=$root/slurm
export EXPUNGE_ENV=$work/env
sed "s#^expunge=.*#expunge=$expunge#" "$slurm/env.example" >env
mkdir -p model texts
submit=("$slurm/submit.sh" --dry-run --model model --tokens tokens.h5 --data texts)

# values OPTION: those of the commands in out.txt, which a shell can read, a line each.
values() {
  local option=$1 line words i
  while IFS= read -r line; do
    eval "words=(${line#\$ })"
    for ((i = 1; i < ${#words[@]}; ++i)); do
      if [[ ${words[i - 1]} == "$option" ]]; then printf '%s\n' "${words[i]}"; fi
    done
  done < <(grep -E '^(sbatch|\$) ' out.txt)
}

# One rule for config files.
printf '\xef\xbb\xbf# Windows\r\ndomain = papers\r\nmethod\t=\tgradient_ascent\t# ascent\r\n\r\nseed=7 \r\n' >windows.cfg
printf '  domain=papers#2   # a comment\nmethod = gradient_ascent' >comment.cfg
for case in "windows papers" "comment papers#2"; do
  read -r file domain <<<"$case"
  expect_exit 0 "^sbatch" "${submit[@]}" --config $file.cfg --output-dir runs/one
  [[ $(values --domain | sort -u) == "$domain" ]] || die "$file.cfg: the jobs' domain is $(values --domain | cat -A)"
done
# A mistake that the program would find hours later, in a job.
refused() { # PATTERN LINES-OF-THE-CONFIG [OPTIONS]
  printf '%b' "$2" >mistake.cfg
  expect_exit 2 "$1" "${submit[@]}" --config mistake.cfg --output-dir runs/one "${@:3}"
}
good='domain = papers\nmethod = gradient_ascent\n'
refused "mistake.cfg:1: expected .key = value., found \"domain: papers\"" 'domain: papers\n'
refused "mistake.cfg:3: unknown option --learning-rat; did you mean" "${good}learning-rat = 1\n"
refused "expunge unlearn needs --domain NAME" 'method = gradient_ascent\n'
refused "--top-p 0 leaves no id to draw" "${good}top-p = 0\n"
refused "unknown option --sed" "$good" -- --sed 7
printf 'compare = before.h5\n' >eval.cfg
refused "eval.cfg:1: --compare is an option of expunge eval, not of expunge mia" "$good" --eval-config eval.cfg
# Where the program is no file of this machine.
echo 'ask=(/nowhere/expunge)' | cat env - >ask-env
expect_exit 2 "ask-env: '/nowhere/expunge' ended with exit code 127; let 'ask' start expunge" \
  env EXPUNGE_ENV=ask-env "${submit[@]}" --config windows.cfg --output-dir runs/one

# Names with characters that mean something to shells, to bash's replacements and to sbatch's patterns.
domains=('R&D' 'a  b' '$(touch x)' "it's" '"q"' 'back\slash' '*' '[x]' 'METHOD|DOMAIN' '50%' '-n')
for domain in "${domains[@]}"; do printf 'domain = %s\nmethod = gradient_ascent\n' "$domain" >"c $domain-x&y.cfg"; done
list=$(IFS=,; printf %s "${domains[*]}")
sweep=(--config "c DOMAIN-METHOD.cfg" --methods "x&y" --domains "$list" --learning-rates 1e-5,2e-5)
expect_exit 0 "array=0-21" "${submit[@]}" "${sweep[@]}" --output-dir 'runs/100% & "more"'
[[ $(values --domain | sort -u) == "$(printf '%s\n' "${domains[@]}" | sort -u)" ]] || die "domains of the jobs: $(values --domain)"
grep -qF 'runs/100%%' out.txt || die "a % of a folder is one of sbatch's patterns"
expect_exit 2 "no logs to a folder with a backslash" "${submit[@]}" --config windows.cfg --output-dir 'back\slash/run'
expect_exit 2 "--domains: a line break" "${submit[@]}" "${sweep[@]}" --output-dir runs --domains $'a\nb'
expect_exit 2 "two tasks would have the run folder p-q-r-1" env SLURM_ARRAY_TASK_ID=0 "$slurm/sweep.sbatch" --dry-run --model m \
  --tokens t --config c --output-dir o --methods q-r,r --domains p,p-q --learning-rates 1
for ((task = 0; task < 2 * ${#domains[@]}; task += 2)); do
  domain=${domains[task / 2]}
  expect_exit 0 " eval " env SLURM_ARRAY_TASK_ID=$task "$slurm/sweep.sbatch" --dry-run --model model --tokens tokens.h5 "${sweep[@]}" \
    --output-dir runs
  [[ $(values --domain) == "$domain"$'\n'"$domain" ]] || die "task $task measures $(values --domain), expected $domain"
  [[ $(values --config) == "c $domain-x&y.cfg" ]] || die "task $task unlearns by $(values --config)"
  [[ $(values --output-dir) == "runs/$domain-x&y-1e-5" ]] || die "task $task runs in $(values --output-dir)"
done
[[ ! -e x ]] || die "a name was run as a command"
# A run is looked for under its own name, not under a pattern.
mkdir -p "runs/[x]-1/checkpoints/step-000001"
expect_exit 0 "report runs/" "$slurm/report.sbatch" --dry-run "runs/[x]-1" --output r.html
cat >env <<ENV
expunge=$(type -P true)
launcher=mpirun
ENV
expect_exit 0 "report ended with exit code 0" "$slurm/report.sbatch" "runs/[x]-1" --output r.html
expect_exit 3 "left out, has no checkpoint: runs/x-1" "$slurm/report.sbatch" "runs/x-1" --output r.html
echo passed
