#!/usr/bin/env bash
# Every option of every command that names a file, from the program's own tables: outputs leave other people's files and the
# command's inputs as they are; inputs that are no plain files end the command at once.
source "$(dirname "$0")/common.sh" "$@"

# A command line that works, with OUT for its output. A command that this test does not know fails it.
declare -A lines=(
  [tokenize]="--tokenizer init --data texts --output OUT"
  [plan]="--model model --world 1 --device cpu --memory-per-rank 4GB --sbatch OUT"
  [train]="--init-config init/config.json --tokens tokens.h5 --split papers/forget --max-steps 1 --output-dir OUT"
  [unlearn]="--model model --tokens tokens.h5 --domain papers --method random_label --max-steps 1 --output-dir OUT"
  [eval]="--model model --tokens tokens.h5 --domain papers --output OUT"
  [mia]="--model model --tokens tokens.h5 --domain papers --output OUT"
  [generate]="--model model --prompts prompts.jsonl --max-new-tokens 2 --output OUT"
  [task]="--model model --tasks tasks.jsonl --output OUT"
  [export]="--checkpoint run --output-dir OUT"
  [report]="run --output OUT"
  [inspect]="model" [verify]="run")
# What else an option needs beside it, and a value that works.
declare -A needs=([reference-model]="" [fewshot-file]="--num-fewshot 1" [sample-order]="--shuffle off")
declare -A values=([tokenizer]=init [data]=texts [model]=model [init-config]=init/config.json [tokens]=tokens.h5 [config]=quiet.cfg
  [sample-order]=order.txt [labels]=labels.h5 [compare]=before.h5 [reference-model]=model [prompts]=prompts.jsonl
  [tasks]=tasks.jsonl [fewshot-file]=tasks.jsonl [checkpoint]=run [before]=before.h5 [after]=before.h5 [measured-run]=run
  [resume-from-checkpoint]=run/checkpoints/step-000001 [-]=run)

number=0
# command_line COMMAND OPTION VALUE: in `line`, a command line that works but for the option's value; its output is new.
command_line() {
  local key=${2#--} word out
  number=$((number + 1))
  out=out-$number$([[ $1 != report ]] || echo .html)
  read -ra line <<<"${lines[$1]:?tests/commands/file_uses.sh knows no command line of expunge $1}"
  local found=false i
  for i in "${!line[@]}"; do
    if [[ ${line[i]} == "$2" ]]; then line[i + 1]=$3 found=true; fi
    if [[ ${line[i]} == OUT ]]; then line[i]=$out; fi
  done
  if [[ $2 == - ]]; then line[0]=$3; elif ! $found; then line+=("$2" "$3"); fi
  for word in ${needs[$key]:-}; do line+=("$word"); done
  line=("$expunge" "$1" "${line[@]}")
}
# give OPTION VALUE: adds an input to the command line, unless it has one of that name. A model excludes a new one's config.
give() {
  local i word
  [[ $1 != - && " ${line[*]} " != *" $1 "* ]] || return 0
  line+=("$1" "$2")
  for word in ${needs[${1#--}]:-}; do line+=("$word"); done
  for ((i = 0; i + 1 < ${#line[@]}; ++i)); do
    if [[ $1 == --model && ${line[i]} == --init-config ]]; then line=("${line[@]:0:i}" "${line[@]:i+2}"); fi
  done
}
# A run folder's overwriting is another option than a file's.
overwrite_of() { case $1 in train | unlearn) echo --overwrite-output-dir ;; tokenize | export) ;; *) echo --overwrite ;; esac; }
state() { find "$@" ! -type d -printf '%p %y %i %l\n' | sort; find "$@" -type f -print0 | sort -z | xargs -0 sha256sum; }
inputs() { state init texts model run labelled tokens.h5 before.h5 prompts.jsonl tasks.jsonl order.txt quiet.cfg labels.h5; }

# refused WHAT: the command line in `line` ends with exit code 4 and leaves everything as it was.
refused() {
  local code=0 before after
  before=$(state theirs; inputs)
  timeout -k 2 60 "${line[@]}" >out.txt 2>&1 || code=$?
  after=$(state theirs; inputs)
  # 2: the two options exclude each other.
  [[ $code == 4 || $code == 2 ]] || { cat out.txt >&2; die "$1: exit code $code instead of 4: ${line[*]}"; }
  [[ $before == "$after" ]] || { diff <(echo "$before") <(echo "$after") >&2; die "$1: files were changed by ${line[*]}"; }
}

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --learning-rate 1e-3 --quiet --max-steps 1 --output-dir run
  "$expunge" export --checkpoint run --output-dir model --quiet
  "$expunge" eval --model run --tokens tokens.h5 --domain papers --output before.h5 --quiet
  echo '{"prompt": "The paper"}' >prompts.jsonl
  echo '{"question": "Is it?", "choices": ["yes", "no"], "answer": 0, "subject": "s"}' >tasks.jsonl
  printf '%s\n' 0 1 2 3 >order.txt
  echo "quiet = true" >quiet.cfg
  "$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method random_label --max-steps 1 --output-dir labelled \
    --save-labels labels.h5 --quiet
  [[ -f labels.h5 ]] || die "no labels"
  mkdir -p theirs/folder
  for file in x x.md x.html x.tmp new.tmp config labels.h5 metrics.h5 folder/weights.bin; do echo "theirs: $file" >"theirs/$file"; done
  mkdir -p theirs/.new.writing theirs/.new.expunge-0123456789ab theirs/x-figures
  echo t >theirs/.new.writing/file
  echo t >theirs/.new.expunge-0123456789ab/file
  echo "<svg/>" >theirs/x-figures/logo.svg
  ln -s x theirs/link
  ln -s x.html theirs/link.html
  "$(dirname "$expunge")/tests/commands/file_options" >options.txt
  [[ $(cut -d ' ' -f 1 options.txt | sort -u | wc -l) -ge 12 ]] || die "commands are missing"
}

# outputs COMMAND...: every output of these commands, beside files of others and every input.
outputs() {
  local checked=0
  chmod -R a-w model init # found out if it is tried, except by root, whom the hashes find out
  while read -r command option use; do
    case $use in output | output_folder | log) ;; *) continue ;; esac
    [[ " $* " == *" $command "* ]] || continue
    suffix=$([[ $command != report ]] || echo .html)
    # What is there already.
    target=theirs/x$suffix
    [[ $use != output_folder ]] || target=theirs
    command_line "$command" "$option" "$target"
    refused "a file that is there"
    if [[ $use == output_folder ]]; then
      line+=($(overwrite_of "$command"))
      refused "a folder of others, to be overwritten"
    else
      command_line "$command" "$option" "theirs/link$suffix"
      [[ $use == log ]] || line+=($(overwrite_of "$command"))
      refused "a link"
    fi
    # A new name beside files that are called alike.
    command_line "$command" "$option" "theirs/new$suffix"
    before=$(state theirs)
    "${line[@]}" >out.txt 2>&1 || { cat out.txt >&2; die "a new name: ${line[*]}"; }
    rm -r "theirs/new$suffix" theirs/new.md theirs/new-figures theirs/new.expunge.json 2>/dev/null || true
    [[ $(state theirs) == "$before" ]] || { diff <(echo "$before") <(state theirs) >&2; die "files of others were changed by ${line[*]}"; }
    # Every input of the same command, under its own name, by a hard link, and from inside.
    while read -r _ input kind; do
      case $kind in output | output_folder | log) continue ;; esac
      value=${values[${input#--}]:?tests/commands/file_uses.sh knows no value of expunge $command $input}
      over=()
      [[ $use == log ]] || over=($(overwrite_of "$command"))
      command_line "$command" "$option" "$value"
      give "$input" "$value"
      line+=(${over[@]+"${over[@]}"})
      refused "$option is what $input reads"
      if [[ -f $value && $use != output_folder ]]; then
        ln -f "$value" "hard$suffix"
        command_line "$command" "$option" "hard$suffix"
        give "$input" "$value"
        line+=(${over[@]+"${over[@]}"})
        refused "$option is what $input reads, by another name"
        rm "hard$suffix"
      fi
      if [[ $kind == model && -d $value && $value != run ]]; then
        command_line "$command" "$option" "$value/new$suffix"
        give "$input" "$value"
        refused "$option lies in what $input reads"
      fi
      checked=$((checked + 1))
    done < <(grep "^$command " options.txt)
  done <options.txt
  ((checked > 8)) || die "only $checked pairs of outputs and inputs"
  echo "$checked pairs of outputs and inputs"
}

# With the commands that have no output these are all.
runs=(train unlearn) measures=(eval mia task) others=(tokenize plan generate export report)
case_outputs_of_runs() { outputs "${runs[@]}"; }
case_outputs_of_measures() { outputs "${measures[@]}"; }
case_outputs_of_others() {
  outputs "${others[@]}"
  left=$(cut -d ' ' -f 1 options.txt | sort -u | grep -vxF "$(printf '%s\n' "${runs[@]}" "${measures[@]}" "${others[@]}" inspect verify)" || true)
  [[ -z $left ]] || die "no case looks at the outputs of $left"
}

# In a run folder: results beside the run, nothing inside its checkpoints or model.
case_results_in_a_run_folder() {
  for place in checkpoints/eval.h5 model/eval.h5 checkpoints/step-000001/checkpoint.h5 labels.h5; do
    line=("$expunge" eval --model run --tokens tokens.h5 --domain papers --output "run/$place" --overwrite)
    refused "results in a run's $place"
  done
  cp -r run measured
  for _ in 1 2; do "$expunge" eval --model measured --tokens tokens.h5 --domain papers --output measured/eval.h5 --overwrite --quiet; done
  "$expunge" report measured --output measured/report.html --quiet >/dev/null
  "$expunge" verify measured >/dev/null || die "results in the run folder spoil it"
}

# no_plain_file WHAT: an input that is none: a pipe that nobody writes, a device without end, a folder, a socket.
no_plain_file() {
  local what=$1
  while read -r command option use; do
    [[ $use == file ]] || continue
    command_line "$command" "$option" "$what"
    code=0
    timeout -k 2 20 "${line[@]}" >out.txt 2>&1 </dev/null || code=$?
    [[ $code == 2 || $code == 3 ]] || { cat out.txt >&2; die "$what for $option: exit code $code: ${line[*]}"; }
    grep -qE "it is a (named pipe|device|folder)|is a folder" out.txt || { cat out.txt >&2; die "$what for $option is not called what it is"; }
  done <options.txt
  # Files inside of a folder that is read.
  for file in config.json tokenizer.model tokenizer_config.json model.safetensors; do
    rm -rf broken
    cp -r model broken
    chmod -R u+w broken
    rm "broken/$file"
    ln -s "$(realpath "$what")" "broken/$file"
    code=0
    timeout -k 2 20 "$expunge" generate --model broken --prompts prompts.jsonl --max-new-tokens 1 --output never >out.txt 2>&1 || code=$?
    [[ $code == 3 ]] || { cat out.txt >&2; die "$what as $file: exit code $code"; }
  done
  for file in config metrics.h5 eval.h5 checkpoints/step-000001/manifest.json checkpoints/step-000001/shard-00000-of-00001.h5 .expunge-run; do
    rm -rf broken
    cp -r run broken
    rm -f "broken/$file"
    ln -s "$(realpath "$what")" "broken/$file"
    for command in verify inspect "report --output never.html"; do
      read -ra word <<<"$command"
      code=0
      timeout -k 2 20 "$expunge" "${word[0]}" broken "${word[@]:1}" >out.txt 2>&1 || code=$?
      [[ $code -lt 8 && $code != 1 ]] || { cat out.txt >&2; die "$what as $file, $command: exit code $code"; }
      rm -rf never.html never.md never-figures
    done
  done
}
case_inputs_from_a_pipe() {
  mkfifo pipe
  no_plain_file pipe
}
case_inputs_from_a_device() { no_plain_file /dev/zero; }
case_inputs_from_a_folder() {
  mkdir empty
  no_plain_file empty
}

run_case
