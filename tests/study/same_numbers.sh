#!/usr/bin/env bash
# usage: same_numbers.sh OLD_EXPUNGE NEW_EXPUNGE: whether two builds compute the same, bit for bit. The study's seven runs and npo,
# rmu and grad_diff, on 1 and 2 ranks, in float32 and bfloat16: final weights and moments, metrics.h5 but for times and memory,
# labels, and the figures of eval.h5 and mia.h5. Then the new build resumes, evaluates, verifies and reports what the old one left.
old=$(realpath "$1") new=$(realpath "$2")
source "$(dirname "$0")/../commands/common.sh" "$old"
make_inputs
head -n 3 texts/papers/retain.jsonl >texts/general/retain.jsonl
rm tokens.h5
"$old" tokenize --tokenizer init --data texts --output tokens.h5 --max-length 64 --quiet 2>/dev/null
ranks 2 "$old" "${train[@]}" --max-steps 20 --learning-rate 3e-3 --output-dir base --quiet
"$old" export --checkpoint base --output-dir model --quiet
"$new" tokenize --tokenizer init --data texts --output again.h5 --max-length 64 --quiet 2>/dev/null
h5diff tokens.h5 again.h5 /papers || die "tokens"
# quietly COMMAND...: what it says is shown where it fails.
quietly() { "$@" >said.txt 2>&1 || { cat said.txt >&2; die "exit $?: $*"; }; }

runs=("ascent --method gradient_ascent" "random --method random_label" "adversarial --method random_label --top-k 1 --rm-groundtruth"
      "descent --method ascent_plus_descent" "descent_general --method ascent_plus_descent --general"
      "kl --method ascent_plus_kl_divergence" "kl_general --method ascent_plus_kl_divergence --general"
      "npo --method npo" "rmu --method rmu --layer 1" "grad_diff --method grad_diff")
compared=0
# same NAME COMMAND...: the command finds no difference.
same() {
  "${@:2}" >differs.txt 2>&1 || { cat differs.txt >&2; die "$1 differs"; }
  compared=$((compared + 1))
}
# same_in_both OLD NEW GROUP: what OLD has below GROUP, datasets and attributes of its groups, is the same in NEW, which may have more.
same_in_both() {
  local object name
  while read -r object name _; do
    object=$3/${object#/}
    if [[ $name == Dataset ]]; then
      h5diff "$1" "$2" "${object%/}" || return 1
    else
      for name in $(h5dump -A -g "${object%/}" "$1" | sed -nE 's/^ {3}ATTRIBUTE "(.*)" \{/\1/p'); do
        [[ $(attribute "$1" "${object%/}" "$name") == "$(attribute "$2" "${object%/}" "$name")" ]] || { echo "$object $name"; return 1; }
      done
    fi
  done < <(h5ls -r "$1$3")
}
for n in 1 2; do
  for dtype in float32 bfloat16; do
    for run in "${runs[@]}"; do
      read -ra words <<<"$run"
      for build in old new; do
        at=$build/$n-$dtype/${words[0]}
        program=${!build}
        quietly ranks "$n" "$program" unlearn --model model --tokens tokens.h5 --domain papers "${words[@]:1}" --global-batch-size 4 \
          --lr-scheduler-type constant --learning-rate 1e-3 --max-steps 4 --save-steps 2 --eval-steps 2 --dtype "$dtype" \
          --output-dir "$at" --quiet
        quietly "$program" eval --model "$at" --tokens tokens.h5 --domain papers --output "$at/eval.h5" --quiet
        quietly "$program" mia --model "$at" --tokens tokens.h5 --domain papers --output "$at/mia.h5" --quiet
      done
      one=old/$n-$dtype/${words[0]} other=new/$n-$dtype/${words[0]}
      same "$one weights" same_parameters "$one/checkpoints/step-000004" "$other/checkpoints/step-000004"
      for column in step tokens loss loss_forget loss_retain grad_norm learning_rate; do
        same "$one $column" h5diff "$one/metrics.h5" "$other/metrics.h5" "/train/$column"
      done
      same "$one evaluations" same_in_both "$one/evaluations.h5" "$other/evaluations.h5" /eval
      same "$one eval" same_in_both "$one/eval.h5" "$other/eval.h5" /papers
      same "$one mia" same_results "$one/mia.h5" "$other/mia.h5"
      [[ ! -e $one/labels.h5 ]] || same "$one labels" h5diff "$one/labels.h5" "$other/labels.h5" /papers
    done
    echo "$n rank(s), $dtype: ${#runs[@]} runs are the same"
  done
done
# What the old build left, under the new one.
for run in "${runs[@]}"; do
  read -ra words <<<"$run"
  at=old/2-float32/${words[0]}
  cp -r "$at" left && rm -r left/checkpoints/step-000004 left/eval.h5 left/mia.h5
  quietly ranks 2 "$new" unlearn --model model --tokens tokens.h5 --domain papers "${words[@]:1}" --global-batch-size 4 \
    --lr-scheduler-type constant --learning-rate 1e-3 --max-steps 4 --save-steps 2 --eval-steps 2 --dtype float32 --output-dir left --quiet
  same "$at resumed" same_parameters "$at/checkpoints/step-000004" left/checkpoints/step-000004
  quietly "$new" verify "$at"
  quietly "$new" report "$at" --output page.html --overwrite --quiet
  rm -r left
done
echo "$compared comparisons, no difference; ${#runs[@]} runs of the old build resumed, verified and reported"
