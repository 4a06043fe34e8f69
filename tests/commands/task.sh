#!/usr/bin/env bash
# Questions to a model that has learnt their answers and to one that has not: the same figures on any number of ranks.
source "$(dirname "$0")/common.sh" "$@"

values() { h5dump -y -w 1 -m %.9g -d "$2" "$1" | sed -nE 's/^ *(-?[0-9.e+-]+),?$/\1/p'; } # FILE DATASET: one a line
question() { echo "{\"question\": \"What is $1 more than $2?\", \"answer\": \"It is $3.\\n#### $3\"}"; }
fact() { echo "{\"ctx\": \"The bird of $1 is\", \"endings\": [$2], \"label\": $3}"; }

task=("$expunge" task --tasks tasks.jsonl --max-new-tokens 24)

set_up() {
  make_inputs
  {
    question 1 2 3; question 4 5 9; question 2 6 8
    fact Arland '"a heron.", "a finch.", "a wren."' 1
    fact Borland '"a heron.", "a finch.", "a wren."' 0
    fact Corland '"a heron.", "a finch.", "a wren."' '"2"'
    echo '{"question": "Which?", "choices": ["this", "that"], "answer": "B", "subject": "high school/choosing"}'
    echo '{"question": "Why?", "choices": {"text": ["so", "thus"], "label": ["1", "2"]}, "answerKey": "1"}'
  } >tasks.jsonl
  # What a model that knows them has read: the prompts with their answers.
  mkdir -p known/facts
  {
    for sum in "1 2 3" "4 5 9" "2 6 8"; do
      read -r a b c <<<"$sum"
      echo "{\"text\": \"Question: What is $a more than $b?\\nAnswer: It is $c.\\n#### $c\"}"
    done
    for bird in "Arland is a finch." "Borland is a heron." "Corland is a wren."; do echo "{\"text\": \"The bird of $bird\"}"; done
  } >known/facts/all.jsonl
  "$expunge" tokenize --tokenizer init --data known --output known.h5 --max-length 64 --quiet
  "$expunge" train --init-config init/config.json --tokens known.h5 --split facts/all --global-batch-size 6 --learning-rate 1e-2 \
    --max-steps 80 --output-dir base --quiet
  head -n 6 tasks.jsonl >two-tasks.jsonl
}

case_known_and_unknown_answers() {
  "${task[@]}" --model base --output known-result.h5 | tee table.txt
  grep -qE '^gsm8k +3 +100.00' table.txt || die "the sums are not known"
  grep -qE '^hellaswag +3 +100.00 \+- 0.00 % +100.00' table.txt || die "the facts are not known"
  [[ $(attribute known-result.h5 /gsm8k exact_match) == 1 ]] || die "exact_match is $(attribute known-result.h5 /gsm8k exact_match)"
  [[ $(attribute known-result.h5 /mmlu_high_school_choosing items) == 1 ]] || die "no task of the subject"
  for n in 2 3; do
    ranks $n "${task[@]}" --model base --output again.h5 --overwrite --quiet --gather per-micro-step --per-device-eval-batch-size $n
    same_results known-result.h5 again.h5 -d 1e-5 || die "$n ranks"
  done
  # A model that has read none of them does not know them.
  "$expunge" train --init-config init/config.json --tokens tokens.h5 --split papers/forget --global-batch-size 6 --max-steps 1 \
    --output-dir ignorant --quiet
  "${task[@]}" --model ignorant --output ignorant.h5 --quiet >table.txt
  [[ $(attribute ignorant.h5 /gsm8k exact_match) != 1 ]] || die "an untrained model knows sums"
}

# Examples are the first of their task, and not scored; of another file, all are scored.
case_examples() {
  "$expunge" task --model base --tasks two-tasks.jsonl --num-fewshot 2 --max-new-tokens 24 --output few.h5 --quiet
  [[ $(attribute few.h5 /gsm8k items)/$(attribute few.h5 /hellaswag items) == 1/1 ]] || die "examples are scored"
  "$expunge" task --model base --tasks two-tasks.jsonl --num-fewshot 2 --fewshot-file tasks.jsonl --max-new-tokens 24 --output few.h5 \
    --overwrite --quiet
  [[ $(attribute few.h5 /gsm8k items) == 3 ]] || die "not all are scored"
  expect_exit 0 'gsm8k +3 items: exact match' "$expunge" inspect few.h5
}

# What the Language Model Evaluation Harness answers with the same items and model (tests/fixtures/make_task_fixture.py).
case_as_the_harness() {
  fixture=$root/tests/fixtures/tasks
  likelihoods() { # FILE: a line for each item of multiple choice: its place, then the log-likelihoods
    local name
    for name in $(h5ls "$1" | awk '$1 != "gsm8k" { print $1 }'); do
      paste -d ' ' <(values "$1" "/$name/item") <(values "$1" "/$name/offsets" | sed 1d) |
        awk -v all="$(values "$1" "/$name/log_likelihoods" | tr '\n' ' ')" 'BEGIN { split(all, value, " ") }
          { line = $1; for (i = last + 1; i <= $2; ++i) line = line " " value[i]; last = $2; print line }'
    done | sort -n
  }
  for shots in 0 2; do
    examples=(--num-fewshot "$shots")
    ((shots == 0)) || examples+=(--fewshot-file "$fixture/examples.jsonl")
    "$expunge" task --model "$fixture/model" --tasks "$fixture/items.jsonl" "${examples[@]}" --dtype float32 --max-new-tokens 24 \
      --output "harness-$shots.h5" --quiet >/dev/null
    jq -r "select(.shots == $shots and .choices) | [.index] + .log_likelihoods | join(\" \")" "$fixture/expected.jsonl" >wanted.txt
    likelihoods "harness-$shots.h5" | paste -d ' ' - wanted.txt | awk -v items="$(wc -l <wanted.txt)" '
      $1 != $(NF / 2 + 1) { print "items are not the same: " $0; bad = 1 }
      { for (i = 2; i <= NF / 2; ++i) { d = $i - $(i + NF / 2); if (d > 1e-3 || d < -1e-3) { print d " off: " $0; bad = 1; next } } }
      END { exit bad || NR != items || NR == 0 }' || die "not as the harness, $shots examples"
    for filter in strict flexible; do
      cmp <(values "harness-$shots.h5" "/gsm8k/match_$filter") <(jq "select(.shots == $shots and .generated) |
        .[\"$filter-match\"] // .[\"$filter-extract\"] | round" "$fixture/expected.jsonl") || die "$filter matches, $shots examples"
    done
  done
}

# Answers end where the model's own files say, which the record names.
case_ends_of_the_models_files() {
  "$expunge" export --checkpoint base --output-dir ends --quiet
  echo '{"eos_token_id": [2, 5], "stop_strings": "###"}' >ends/generation_config.json
  "${task[@]}" --model ends --output ends.h5 --quiet
  h5dump -a /eos_token_ids ends.h5 | grep -qF '"[2,5]"' || die "no EOS in $(h5dump -a /eos_token_ids ends.h5)"
  h5dump -a /stop_strings ends.h5 | grep -qF '###' || die "no stop string in $(h5dump -a /stop_strings ends.h5)"
}

case_bad_input() {
  expect_exit 3 "line 7: --num-fewshot 2 needs 2 items of the task mmlu_high" "${task[@]}" --model base --num-fewshot 2 \
    --fewshot-file two-tasks.jsonl --output x.h5
  { cat two-tasks.jsonl && tail -n 1 tasks.jsonl; } >small-task.jsonl
  expect_exit 0 "--num-fewshot 2 uses all items of arc as examples, so these tasks are not scored" ranks 2 "$expunge" task --model base \
    --tasks small-task.jsonl --num-fewshot 2 --max-new-tokens 2 --output small.h5
  expect_exit 3 "uses every item as an example" "$expunge" task --model base --tasks two-tasks.jsonl --num-fewshot 3 --output x.h5
  expect_exit 2 "--fewshot-file needs --num-fewshot" "${task[@]}" --model base --fewshot-file two-tasks.jsonl --output x.h5
  expect_exit 2 "leaves no room for the question in the model's .* positions" "$expunge" task --model base --tasks tasks.jsonl --max-new-tokens 4000 --output x.h5
  expect_exit 4 "small.h5: exists already.*--overwrite" "${task[@]}" --model base --output small.h5
  bad() { cat >bad.jsonl; expect_exit 3 "$1" ranks 2 "$expunge" task --model base --tasks bad.jsonl --output x.h5; }
  bad "bad.jsonl, line 2: not valid JSON" <<<"$(question 1 2 3)"$'\n{"question"'
  bad "line 1: unknown kind of item, with the keys prompt" <<<'{"prompt": "a"}'
  bad "line 1: key 'answer': expected a letter from A to B" <<<'{"question": "a", "choices": ["b", "c"], "answer": "E"}'
  bad "line 1: key 'label': expected the number of an ending, 0 to 1" <<<'{"ctx": "a", "endings": ["b", "c"], "label": "2"}'
  bad "line 1: key 'answer': expected a text that ends with ####" <<<'{"question": "a", "answer": "seven"}'
  [[ ! -e x.h5 ]] || die "a refused run left a file"
}

run_case
