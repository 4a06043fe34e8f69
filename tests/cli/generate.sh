#!/usr/bin/env bash
# Completions of prompts: the same on any number of ranks and in any batches, stopped where they are told to, in the input's order.
source "$(dirname "$0")/common.sh" "$1"
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
generate=("$expunge" generate --prompts prompts.jsonl --quiet)
field() { sed -nE 's/.*"'"$1"'":("[^"]*"|[0-9]+).*/\1/p' "$2" | tr '\n' ' '; }

"${generate[@]}" --model base --max-new-tokens 30 --output one.jsonl
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
# Sampling: by seed, prompt, sample and place alone. A sample does not depend on how many there are.
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
# A stop string ends a completion and is no part of it: what was generated without it, cut.
completion() { head -n 1 "$1" | sed -E 's/.*"completion":"(.*)","completion_tokens".*/\1/'; }
whole=$(completion one.jsonl) stop=$(completion one.jsonl | cut -c6-8)
"${generate[@]}" --model model --max-new-tokens 30 --stop "never to be found" --stop "$stop" --output stopped.jsonl
head -n 1 stopped.jsonl | grep -q '"finish_reason":"stop"' || die "not stopped at '$stop': $(head -n 1 stopped.jsonl)"
[[ $(completion stopped.jsonl) == "${whole%%"$stop"*}" ]] || die "cut elsewhere than at '$stop': $(head -n 1 stopped.jsonl)"

expect_exit 4 "one.jsonl: exists already.*--overwrite" "${generate[@]}" --model base --max-new-tokens 3 --output one.jsonl
expect_exit 2 "needs --max-new-tokens" "${generate[@]}" --model base --output x.jsonl
expect_exit 2 "--top-k narrows a draw" "${generate[@]}" --model base --max-new-tokens 3 --top-k 4 --output x.jsonl
expect_exit 2 "--num-samples above 1 needs --temperature" "${generate[@]}" --model base --max-new-tokens 3 --num-samples 2 --output x.jsonl
bad() { cat >bad.jsonl; expect_exit 3 "$1" ranks 2 "$expunge" generate --model base --prompts bad.jsonl --max-new-tokens 3 --output x.jsonl; }
bad "bad.jsonl, line 2: not valid JSON" <<<$'{"prompt": "fine"}\n{"prompt": oops}'
bad "bad.jsonl, line 3: there is no prompt in column 'prompt'" <<<$'{"prompt": "fine"}\n\n{"text": "other"}'
bad "line 1: key 'prompt': expected a string, found 7" <<<'{"prompt": 7}'
bad "line 1: expected a JSON object" <<<'["prompt"]'
bad "line 1: invalid UTF-8 at byte 13" <<<$'{"prompt": "\xff"}'
bad "line 1: there is a field 'completion' already" <<<'{"prompt": "a", "completion": "b"}'
bad "expected one JSON object a line, found none" </dev/null
sed -i 's/"initializer_range"/"max_position_embeddings": 8, "initializer_range"/' model/config.json
expect_exit 3 "line [23]: the prompt has [0-9]+ tokens; the model has 8 positions" "${generate[@]}" --model model --max-new-tokens 3 --output x.jsonl
rm model/tokenizer.model
expect_exit 3 "no tokenizer.model" "${generate[@]}" --model model --max-new-tokens 3 --output x.jsonl
[[ ! -e x.jsonl ]] || die "a refused run left a file"
echo passed
