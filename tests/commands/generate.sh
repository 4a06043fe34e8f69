#!/usr/bin/env bash
# Completions of prompts: the same on any number of ranks and in any batches, stopped where they are told to, in the input's order.
source "$(dirname "$0")/common.sh" "$@"

generate=("$expunge" generate --prompts prompts.jsonl --quiet)
field() { sed -nE 's/.*"'"$1"'":("[^"]*"|[0-9]+).*/\1/p' "$2" | tr '\n' ' '; }

# A stop string ends a completion and is no part of it: what was generated without it, cut.
completion() { head -n 1 "$1" | sed -E 's/.*"completion":"(.*)","completion_tokens".*/\1/'; }

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --quiet --learning-rate 1e-2 --max-steps 100 --output-dir base
  "$expunge" export --checkpoint base --output-dir model --quiet
  cat >prompts.jsonl <<'JSON'
{"prompt": "", "id": 10}
{"prompt": "We study", "id": 11, "note": "a field of no meaning: \"kept\" \u00e9"}
{"prompt": "The results show that the method", "id": 12}

{"prompt": "In this paper", "id": 13}
{"prompt": "A", "id": 14}
JSON
  "${generate[@]}" --model base --max-new-tokens 30 --output one.jsonl
}

case_ranks_and_batches() {
  [[ $(jq -r '.output_sha256 + " " + .prompts_sha256' one.jsonl.expunge.json) == \
    "$(sha256sum one.jsonl | cut -d ' ' -f 1) $(sha256sum prompts.jsonl | cut -d ' ' -f 1)" ]] || die "the record of one.jsonl"
  [[ $(jq -r .config one.jsonl.expunge.json) == *"max-new-tokens = 30"* ]] || die "the record names no options"
  [[ $(field id one.jsonl) == "10 11 12 13 14 " ]] || die "ids are $(field id one.jsonl)"
  grep -q 'a field of no meaning: \\"kept\\" é' one.jsonl || die "a field is lost"
  for n in 2 3; do
    for gather in per-step per-micro-step; do
      ranks $n "${generate[@]}" --model model --max-new-tokens 30 --output again.jsonl --overwrite --gather $gather \
        --per-device-eval-batch-size $n
      cmp one.jsonl again.jsonl || die "$n ranks, --gather $gather"
    done
  done
  ranks 3 "${generate[@]}" --model model --bf16 --max-new-tokens 5 --output bf16.jsonl
}

# Sampling: by seed, prompt, sample and place alone. A sample does not depend on how many there are.
case_sampling() {
  sample=("${generate[@]}" --model model --max-new-tokens 20 --temperature 1.2 --top-k 40 --top-p 0.95)
  "${sample[@]}" --seed 1 --num-samples 3 --output sampled.jsonl
  ranks 2 "${sample[@]}" --seed 1 --num-samples 3 --output sampled-two.jsonl --per-device-eval-batch-size 2
  cmp sampled.jsonl sampled-two.jsonl || die "samples differ on two ranks"
  [[ $(field id sampled.jsonl) == "10 10 10 11 11 11 12 12 12 13 13 13 14 14 14 " ]] || die "three lines a prompt"
  "${sample[@]}" --seed 1 --output first.jsonl
  cmp first.jsonl <(awk 'NR % 3 == 1' sampled.jsonl) || die "the first samples differ"
  "${sample[@]}" --seed 2 --output other.jsonl
  ! cmp -s first.jsonl other.jsonl || die "the seed changes nothing"
  [[ $(sort -u sampled.jsonl | wc -l) -gt 9 ]] || die "samples are all the same"
}

case_stop_strings_and_ends() {
  whole=$(completion one.jsonl) stop=$(completion one.jsonl | cut -c6-8)
  "${generate[@]}" --model model --max-new-tokens 30 --stop "never to be found" --stop "$stop" --output stopped.jsonl
  head -n 1 stopped.jsonl | grep -q '"finish_reason":"stop"' || die "not stopped at '$stop': $(head -n 1 stopped.jsonl)"
  [[ $(completion stopped.jsonl) == "${whole%%"$stop"*}" ]] || die "cut elsewhere than at '$stop': $(head -n 1 stopped.jsonl)"

  # The model's own files say where text ends: any EOS of generation_config.json ends it, its stop strings do, padding is no text.
  cp -r model ends
  said() { jq -n "$1" >ends/generation_config.json; "${generate[@]}" --model ends --max-new-tokens 30 --output ends.jsonl --overwrite; }
  first() { head -n 1 ends.jsonl | jq -r ".$1"; }
  id=$(spm_encode --model=model/tokenizer.model --output_format=id <<<"$whole" | cut -d ' ' -f 2)
  said "{eos_token_id: [2, $id]}"
  [[ $(first finish_reason) == eos && $(first completion_tokens) -lt 30 ]] || die "not ended at id $id: $(head -n 1 ends.jsonl)"
  [[ $whole == "$(completion ends.jsonl)"* ]] || die "another text than '$whole': $(head -n 1 ends.jsonl)"
  [[ $(jq -c .eos_token_ids ends.jsonl.expunge.json) == "[2,$id]" ]] || die "the record names no EOS"
  # Padding by an ordinary piece leaves texts as they are.
  said "{pad_token_id: $id}"
  [[ $(completion ends.jsonl) == "$whole" ]] || die "ordinary pieces are lost: $(head -n 1 ends.jsonl)"
  piece=$(spm_encode --model=model/tokenizer.model --output_format=piece <<<"$whole" | cut -d ' ' -f 2)
  jq --arg piece "$piece" '.additional_special_tokens = [$piece]' model/tokenizer_config.json >ends/tokenizer_config.json
  said "{pad_token_id: $id}"
  [[ $(first completion_tokens) == 30 && $(completion ends.jsonl) != "$whole" ]] || die "padding is text: $(head -n 1 ends.jsonl)"
  cp model/tokenizer_config.json ends/
  said "{stop_strings: [\"never to be found\", \"$stop\"]}"
  [[ $(first finish_reason)/$(completion ends.jsonl) == "stop/${whole%%"$stop"*}" ]] || die "stop_strings: $(head -n 1 ends.jsonl)"
  [[ $(jq -c '.stop | length' ends.jsonl.expunge.json) == 2 ]] || die "the record names no stop strings"
  expect_exit 3 "ends/generation_config.json: key 'eos_token_id': expected an id from 0 to 399.*found \[2,400\]" said '{eos_token_id: [2, 400]}'
}

# Runs, checkpoints and what is exported of them hold the file, too.
case_exported_ends() {
  echo '{"eos_token_id": [2, 7], "stop_strings": ["THE END"]}' >init/generation_config.json
  "$expunge" "${train[@]}" --quiet --max-steps 1 --output-dir ending
  "$expunge" export --checkpoint ending --output-dir exported --quiet
  for model in ending ending/checkpoints/step-000001 exported; do
    expect_exit 0 "a completion ends at '</s>' \(id 2\), .*\(id 7\), and before the stop strings 'THE END'" "$expunge" generate \
      --prompts prompts.jsonl --model $model --max-new-tokens 2 --output ending.jsonl --overwrite
  done
}

# BOS as text stays in the ids beside the tokenizer's, as in transformers, and the log says so once.
case_bos_as_text() {
  printf '{"prompt": "<s>We study"}\n{"prompt": "We study"}\n' >typed.jsonl
  expect_exit 0 "typed.jsonl: 1 text with '<s>' in front" ranks 2 "$expunge" generate --model model --prompts typed.jsonl --quiet \
    --max-new-tokens 2 --output typed-out.jsonl
  [[ $(grep -c "in front" out.txt) == 1 ]] || die "said more than once: $(cat out.txt)"
}

# Tokens of a version that did not look for BOS in tokenizer.json can still be used, which is said; those of another rule cannot.
case_other_tokenizers() {
  cp -r model moved
  echo '{"post_processor": null}' >moved/tokenizer.json
  jq 'del(.add_bos_token, .add_eos_token)' model/tokenizer_config.json >moved/tokenizer_config.json
  expect_exit 0 "tokens.h5: an earlier version added BOS or EOS" "$expunge" eval --model moved --tokens tokens.h5 --domain papers --output moved.h5
  jq '.add_bos_token = false' model/tokenizer_config.json >moved/tokenizer_config.json
  expect_exit 3 "tokens.h5: the tokens are of another tokenizer" "$expunge" eval --model moved --tokens tokens.h5 --domain papers --output x.h5

  # Without a tokenizer nothing tells whose tokens they are, but that they are unlikely.
  rm moved/tokenizer.model
  expect_exit 0 "moved has no tokenizer.model, so it is unknown whether tokens.h5" ranks 2 "$expunge" eval --model moved --tokens tokens.h5 \
    --domain papers --output unknown.h5
  [[ $(grep -c "it is unknown whether" out.txt) == 1 ]] || die "said more than once: $(cat out.txt)"
  ! grep -q "another tokenizer's" out.txt || die "the model's own tokens are suspected: $(cat out.txt)"
  mkdir other && cp "$root/tests/fixtures/tokenizer/bytes.model" other/tokenizer.model
  "$expunge" tokenize --tokenizer other --data texts --domain papers --output other.h5 --max-length 64 --quiet
  expect_exit 0 "papers/forget: a perplexity of .* exceeds the vocabulary's size, 400: .* other.h5 probably has another tokenizer's" \
    "$expunge" eval --model moved --tokens other.h5 --domain papers --output unknown.h5 --overwrite
}

case_bad_input() {
  expect_exit 4 "one.jsonl: exists already.*--overwrite" "${generate[@]}" --model base --max-new-tokens 3 --output one.jsonl
  expect_exit 2 "needs --max-new-tokens" "${generate[@]}" --model base --output x.jsonl
  expect_exit 2 "--top-k limits sampling" "${generate[@]}" --model base --max-new-tokens 3 --top-k 4 --output x.jsonl
  expect_exit 2 "--num-samples above 1 needs --temperature" "${generate[@]}" --model base --max-new-tokens 3 --num-samples 2 --output x.jsonl
  bad() { cat >bad.jsonl; expect_exit 3 "$1" ranks 2 "$expunge" generate --model base --prompts bad.jsonl --max-new-tokens 3 --output x.jsonl; }
  bad "bad.jsonl, line 2: not valid JSON" <<<$'{"prompt": "fine"}\n{"prompt": oops}'
  bad "bad.jsonl, line 3: has no prompt in column 'prompt'" <<<$'{"prompt": "fine"}\n\n{"text": "other"}'
  bad "line 1: the prompt in column 'prompt' is null" <<<'{"prompt": null}'
  bad "line 1: has \"prompt\" twice" <<<'{"prompt": "a", "prompt": "b"}'
  bad "line 1: key 'prompt': expected a string, found 7" <<<'{"prompt": 7}'
  bad "line 1: expected a JSON object" <<<'["prompt"]'
  bad "line 1: invalid UTF-8 at byte 13" <<<$'{"prompt": "\xff"}'
  bad "line 1: has a field 'completion' already" <<<'{"prompt": "a", "completion": "b"}'
  bad "expected one JSON object a line, found none" </dev/null
  sed -i 's/"initializer_range"/"max_position_embeddings": 8, "initializer_range"/' model/config.json
  expect_exit 3 "line [23]: the prompt has [0-9]+ tokens, but the model has 8 positions" "${generate[@]}" --model model --max-new-tokens 3 --output x.jsonl
  rm model/tokenizer.model
  expect_exit 3 "no tokenizer.model" "${generate[@]}" --model model --max-new-tokens 3 --output x.jsonl
  [[ ! -e x.jsonl ]] || die "a refused run left a file"
}

run_case
