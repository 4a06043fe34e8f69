#!/usr/bin/env bash
# Two commands race for one output, and one of them may be killed: the output is whole, never vanishes, and what a killed one
# left is gone after the next.
source "$(dirname "$0")/common.sh" "$@"
make_inputs
"$expunge" "${train[@]}" --learning-rate 1e-3 --quiet --max-steps 1 --output-dir run
"$expunge" export --checkpoint run --output-dir model --quiet
echo '{"prompt": "The paper"}' >prompts.jsonl
cp tokens.h5 whole.h5
RANDOM=${EXPUNGE_SEED:-1}
killed=0 both=0

# Each kind: how its command reads for an output, and how the output is known to be whole.
command_of() {
  case $1 in
    tokenize) echo tokenize --tokenizer init --data texts --max-length $((32 + RANDOM % 2 * 32)) --output "$2" ;;
    eval) echo eval --model model --tokens tokens.h5 --domain papers --split forget --max-eval-samples $((1 + RANDOM % 9)) --overwrite --output "$2" ;;
    generate) echo generate --model model --prompts prompts.jsonl --max-new-tokens $((1 + RANDOM % 9)) --overwrite --output "$2" ;;
    export) echo export --checkpoint run --output-dir "$2" ;;
    train) echo "${train[@]}" --max-steps $((1 + RANDOM % 3)) --save-steps 1 --learning-rate 1e-3 --output-dir "$2" --overwrite-output-dir ;;
  esac
}
is_whole() {
  case $1 in
    tokenize | eval) "$expunge" inspect "$2" >/dev/null ;;
    generate) tail -n 1 "$2" | grep -q '}$' && grep -q output_sha256 "$2.expunge.json" ;;
    export) "$expunge" verify "$2" >/dev/null ;;
    train) [[ -z $(ls "$2/checkpoints" 2>/dev/null) ]] || "$expunge" verify "$2" >verify.txt || { cat verify.txt >&2; return 1; } ;;
  esac
}

# race ROUNDS
race() {
  local rounds=$1
  kinds=(tokenize eval generate export train)
  for ((round = 0; round < rounds; ++round)); do
    kind=${kinds[round % ${#kinds[@]}]} out=out-$kind
    # What cannot be overwritten is made anew each time.
    case $kind in tokenize | export) rm -rf "$out" ;; esac
    there=false
    [[ ! -e $out ]] || there=true
    read -ra first <<<"$(command_of "$kind" "$out")"
    read -ra second <<<"$(command_of "$kind" "$out")"
    "$expunge" "${first[@]}" --quiet >first.txt 2>&1 & one=$!
    sleep "0.0$((RANDOM % 10))"
    "$expunge" "${second[@]}" --quiet >second.txt 2>&1 & two=$!
    if ((RANDOM % 3)); then
      sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
      victim=$one
      ((RANDOM % 2)) || victim=$two
      kill -9 "$victim" 2>/dev/null && killed=$((killed + 1))
    fi
    codes=()
    for job in $one $two; do code=0; wait "$job" 2>/dev/null || code=$?; codes+=("$code"); done
    for code in "${codes[@]}"; do
      # 2: a run folder is in use; 137: killed.
      [[ $code == 0 || $code == 4 || $code == 137 || ($kind == train && $code == 2) ]] ||
        { cat first.txt second.txt >&2; die "round $round: $kind: exit codes ${codes[*]}"; }
    done
    [[ "${codes[*]}" != "0 0" ]] || both=$((both + 1))
    if [[ " ${codes[*]} " == *" 0 "* || $there == true ]]; then
      [[ -e $out ]] || die "round $round: $kind: the output vanished (exit codes ${codes[*]})"
    fi
    [[ ! -e $out ]] || is_whole "$kind" "$out" || die "round $round: $kind: the output is torn (exit codes ${codes[*]})"
  done
  # One more of each, and nothing of those that were killed is left.
  for kind in "${kinds[@]}"; do
    case $kind in tokenize | export) rm -rf "out-$kind" ;; esac
    read -ra line <<<"$(command_of "$kind" "out-$kind")"
    "$expunge" "${line[@]}" --quiet
  done
  left=$(find . -name '*.expunge-[0-9a-f]*' | head)
  [[ -z $left ]] || die "left behind: $left"
  cmp tokens.h5 whole.h5
  echo "passed: $rounds rounds, $killed kills, $both times both wrote"
}

case_few() { race 25; }
long_case_many() { race 1000; }

run_case
