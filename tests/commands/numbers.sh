#!/usr/bin/env bash
# Every number option that a help page lists, at the edges of what it may be: the command works or refuses it, soon, with a
# documented exit code, and prints no nonsense. few: fewer edges, and an option that commands share in the first of them.
source "$(dirname "$0")/common.sh" "$@"
# Open MPI keeps the files of a process in one folder for all; a program that ends beside this one may take it away.
export TMPDIR=$work

# The method that an option of expunge unlearn is for.
method_of() {
  case $1 in
    layer | steering-coefficient) echo rmu ;;
    beta) echo npo ;;
    beta2) echo satimp ;;
    delta) echo simnpo ;;
    gamma | alpha) echo grad_diff ;;
    top-k | top-p) echo random_label ;;
    positive-*) echo "ascent_plus_descent --retain-repeat" ;;
    *) echo gradient_ascent ;;
  esac
}

# command_line COMMAND OPTION: what is needed beside the option, a word a line.
command_line() {
  local steps="--max-steps 2" batch="--global-batch-size 4" limit="--max-walltime 2"
  case $2 in max-steps | num-train-epochs) steps="" ;; *batch-size | gradient-accumulation-steps) batch="" ;; max-walltime) limit="" ;; esac
  case $1 in
    unlearn) echo "--model model --tokens tokens.h5 --domain papers --method $(method_of "$2") $steps $batch $limit --output-dir out --eval-steps 1 --eval-split forget" ;;
    train) echo "--model model --tokens tokens.h5 --split papers/forget $steps $batch $limit --output-dir out" ;;
    eval) echo "--model model --tokens tokens.h5 --domain papers --split forget --output out" ;;
    mia) echo "--model model --tokens tokens.h5 --domain papers --output out" ;;
    generate) echo "--model model --prompts prompts.jsonl --max-new-tokens 3 --temperature 1 --output out" ;;
    task) echo "--model model --tasks tasks.jsonl --max-new-tokens 3 --output out" ;;
    tokenize) echo "--tokenizer init --data texts --output out" ;;
    report) echo "base --output out.html" ;;
    plan) echo "--model model --world 2 --gpu-memory 80GB --memory-per-rank 8GB --method npo --max-steps 100 --sbatch out" ;;
    *) die "no command line for expunge $1, which has the number option --$2" ;;
  esac
}

edges() {
  case $which-$1 in
    few-N) echo "0 1000000000 9223372036854775808" ;;
    few-X) echo "-0.0 1e-308 1e308" ;;
    few-TIME) echo "1e-308 1000000000 1e18" ;;
    few-SIZE) echo "0 1000000000000000000B" ;;
    *-N) echo "0 1 1000000000 2147483648 9223372036854775808" ;;
    *-X) echo "0 -0.0 1e-308 1 1e9 1e308" ;;
    *-TIME) echo "0 1e-308 1 1000000000 1e18 999999999-00:00:00" ;;
    *-SIZE) echo "0 1B 1000000000000000000B 1e18B" ;;
  esac
}

# try COMMAND OPTION VALUE
try() {
  local given code=0
  read -ra given <<<"$(command_line "$1" "$2")"
  for ((i = 0; i < ${#given[@]}; ++i)); do
    if [[ ${given[i]} == "--$2" ]]; then unset 'given[i]' 'given[i+1]'; break; fi
  done
  rm -rf out*
  timeout -k 2 30 "$expunge" "$1" "${given[@]}" "--$2=$3" >said.txt 2>&1 || code=$?
  local shown="expunge $1 ${given[*]} --$2=$3"
  case $code in
    0 | 75)
      ! grep -wE -- '-?nan|-?inf|-?[0-9]{18,}' said.txt || { cat said.txt >&2; die "nonsense from: $shown"; } ;;
    2 | 3 | 5 | 6) grep -q '^expunge: error: ' said.txt || { cat said.txt >&2; die "exit $code without a message: $shown"; } ;;
    *) cat said.txt >&2; die "exit $code: $shown" ;;
  esac
}

# One limit of optimizer steps, however their number is said; a refused run leaves no folder.

run=("$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method gradient_ascent --global-batch-size 4 --output-dir x)

set_up() {
  make_inputs
  for split in papers/forget papers/approximate papers/retain general/evaluation; do head -n 4 "texts/$split.jsonl" >few && mv few "texts/$split.jsonl"; done
  rm tokens.h5
  "$expunge" tokenize --tokenizer init --data texts --output tokens.h5 --max-length 24 --quiet
  "$expunge" "${train[@]}" --max-steps 2 --output-dir base --quiet
  "$expunge" export --checkpoint base --output-dir model --quiet
  printf '{"prompt": "%s"}\n' one two >prompts.jsonl
  printf '{"question": "%s", "answer": "#### 1"}\n' one two three >tasks.jsonl
}

case_steps() {
  for more in "" "--learning-rate 0" "--variant released"; do
    # shellcheck disable=SC2086
    expect_exit 2 "--num-train-epochs 1e\+18: .* take .* optimizer steps, but a run takes at most 1000000000" \
      timeout 60 "${run[@]}" --num-train-epochs 1e18 $more
  done
  expect_exit 2 "--max-steps: expected a whole number from -1 to 1000000000" "${run[@]}" --max-steps 1000000001
  expect_exit 2 "matches no parameter" timeout 60 "${run[@]}" --max-steps 1 --trainable '(.*)*(.*)*(.*)*x'
  expect_exit 2 "needs [0-9.]+ TiB of memory, which is not available: lower the option --per-device-train-batch-size" \
    "$expunge" unlearn --model model --tokens tokens.h5 --domain papers --method gradient_ascent --output-dir x \
    --per-device-train-batch-size 16777216 --global-batch-size 16777216 --max-steps 1 && rm -r x
  [[ ! -e x ]] || die "a refused run left a folder"
  # The most steps that a run takes begin as soon as a few do.
  for more in "--learning-rate 0" "--variant released" "--warmup-steps 1000000000"; do
    # shellcheck disable=SC2086
    expect_exit 75 "the run ends after step [1-9][0-9]* of 1000000000" timeout 60 "${run[@]}" --max-steps 1000000000 \
      --max-walltime 3 --overwrite-output-dir $more
  done
  expect_exit 2 "this many sequences after each of .* but a run holds at most 100000000" "$expunge" unlearn --model model \
    --tokens tokens.h5 --domain papers --method ascent_plus_descent --retain-repeat --positive-ratio 1000000000 --output-dir y
}

case_prompts() {
  head -n 1 prompts.jsonl >one.jsonl
  expect_exit 0 "1 prompts per round" "$expunge" generate --model model --prompts one.jsonl --output long.jsonl \
    --max-new-tokens 1000000000 --per-device-eval-batch-size 1000000000
  expect_exit 2 "--num-samples 1000000000: 2 prompts of up to [0-9]+ tokens make 2000000000 completions, but a command holds at most 16777216" \
    "$expunge" generate --model model --prompts prompts.jsonl --output never.jsonl --max-new-tokens 1 --num-samples 1000000000 --temperature 1
}

case_plans() {
  plan=("$expunge" plan --model model --world 8 --gpu-memory 80GB)
  expect_exit 2 "--max-steps 1000000000 needs a time limit of .* minutes, but Slurm allows at most 2147483647" \
    "${plan[@]}" --max-steps 1000000000 --tflops 1e-6 --sbatch never.sbatch
  expect_exit 2 "65536 ranks x .* exceeds 16777216" "$expunge" plan --model model --world 65536 --gpu-memory 80GB --gradient-accumulation-steps 1000
  expect_exit 2 "does not fit" "${plan[@]}" --per-device-train-batch-size 100000
  [[ ! -e never.sbatch ]] || die "a refused script was written"
  # A timed run has the options of its checkpoint, whatever its file says now, and its own device.
  cp -r base edited
  sed -i 's/^per-device-train-batch-size = .*/per-device-train-batch-size = 99999999999999/' edited/config
  expect_exit 0 "measured in edited" "$expunge" plan --model model --world 8 --device cpu --memory-per-rank 16GB --measured-run edited
  expect_exit 2 "its steps ran on cpu, and the plan is for --device cuda" "${plan[@]}" --measured-run edited
}

# sweep few|all LEAST COMMAND...: tries the options of these commands, at least LEAST values.
sweep() {
  which=$1
  local least=$2 tried=0
  shift 2
  declare -A seen=()
  for command in unlearn train eval mia generate task tokenize report plan export verify inspect; do
    while read -r option kind; do
      [[ $which == all || -z ${seen[$option]:-} ]] || continue
      seen[$option]=1
      [[ " $* " == *" $command "* ]] || continue
      for value in $(edges "$kind"); do
        try "$command" "$option" "$value"
        tried=$((tried + 1))
      done
    done < <("$expunge" help "$command" | sed -nE 's/^ +--([a-z0-9-]+) (N|X|TIME|SIZE)( .*)?$/\1 \2/p')
  done
  ((tried >= least)) || die "only $tried values were tried"
  echo "$tried values"
}
case_few_of_unlearn() { sweep few 100 unlearn; }
case_few_of_others() { sweep few 40 train eval mia generate task tokenize report plan export verify inspect; }
long_case_all() { sweep all 151 unlearn train eval mia generate task tokenize report plan export verify inspect; }

run_case
