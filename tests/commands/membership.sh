#!/usr/bin/env bash
# Membership inference and memorisation of a model that knows its texts: the same on any ranks, and what each file shows.
source "$(dirname "$0")/common.sh" "$@"

mia=("$expunge" mia --tokens tokens.h5 --domain papers --quiet)

eval=("$expunge" eval --model base --tokens tokens.h5 --domain papers --quiet)

set_up() {
  make_inputs
  "$expunge" "${train[@]}" --quiet --learning-rate 1e-2 --max-steps 500 --output-dir base
  "$expunge" "${train[@]}" --quiet --max-steps 1 --output-dir fresh
}

case_memorisation() {
  ranks 2 "${eval[@]}" --output two.h5 --micro-batch-tokens 300 >/dev/null
  "${eval[@]}" --output one.h5 >/dev/null
  h5diff -p 1e-4 one.h5 two.h5 /papers || die "evaluation differs on two ranks"
  for figure in exact_memorisation extraction_strength; do
    forget=$(attribute one.h5 /papers/forget $figure) other=$(attribute one.h5 /papers/approximate $figure)
    awk "BEGIN { exit !($forget > 1.3 * $other && $forget <= 1) }" || die "$figure: forget $forget, approximate $other"
  done
  exact=$(attribute one.h5 /papers/forget exact_memorisation) accuracy=$(attribute one.h5 /papers/forget accuracy)
  awk "BEGIN { d = $accuracy - 100 * $exact; exit !(d * d < 1e-6) }" || die "accuracy $accuracy, exact memorisation $exact"
}

case_attacks() {
  "${mia[@]}" --model base --reference-model fresh --output one-mia.h5 >table.txt
  ranks 2 "${mia[@]}" --model base --reference-model fresh --output two-mia.h5 >/dev/null
  same_results one-mia.h5 two-mia.h5 || die "membership inference differs on two ranks"
  ranks 2 "${mia[@]}" --model base --reference-model fresh --output batched.h5 --per-device-eval-batch-size 3 >/dev/null
  h5diff -p 1e-4 one-mia.h5 batched.h5 /scores || die "scores differ in larger batches"
  attacks=$(h5ls one-mia.h5/results | cut -d' ' -f1)
  [[ $(wc -w <<<"$attacks") == 15 && $(h5ls one-mia.h5/scores | cut -d' ' -f1) == "$attacks" ]] || die "attacks: $attacks"
  for attack in min_k_{20,30,40,50,60,100} min_k_plus_plus_{20,30,40,50,60,100} loss zlib reference; do
    grep -q "^$attack " table.txt || die "no row for $attack"
    auc=$(attribute one-mia.h5 /results/$attack auc)
    [[ $(attribute one-mia.h5 /results/$attack auc_folded) == "$auc" ]] || die "$attack: the folded AUC"
    low=$(attribute one-mia.h5 /results/$attack auc_low) high=$(attribute one-mia.h5 /results/$attack auc_high)
    awk "BEGIN { exit !($auc > 0.6 && $low <= $auc && $auc <= $high && $high <= 1) }" || die "$attack: AUC $auc, $low to $high"
  done
  n=$(attribute tokens.h5 /papers/forget sequences)
  [[ $(attribute one-mia.h5 /results/loss members) == "$n" ]] || die "members"
  h5dump -H -d /label one-mia.h5 | grep -q "H5T_STD_U8LE" || die "type of /label"
  for name in model_sha256 tokens_sha256 reference_model_sha256; do
    h5dump -a /$name one-mia.h5 | grep -qE '"[0-9a-f]{64}"' || die "no $name"
  done
  expect_exit 0 "zlib .*AUC" "$expunge" inspect one-mia.h5
  # Intervals are of documents; members that score high and low are both looked at.
  expect_exit 0 "^intervals by document; left out because they are on both sides: 0 members" "$expunge" inspect one-mia.h5
  grep -q "Intervals are resampled by document" table.txt || die "the table does not say what is resampled"
  "${mia[@]}" --model base --members approximate --non-members forget --output turned.h5 >turned.txt
  grep -qE "^loss .* low +[0-9]" turned.txt || die "the table does not name the stronger direction: $(cat turned.txt)"
  h5dump -a /results/loss/stronger turned.h5 | grep -q '"low"' || die "the file does not name the stronger direction"
  for rate in tpr_at_5 best_accuracy; do
    turned=$(attribute turned.h5 /results/loss ${rate}_reversed) plain=$(attribute turned.h5 /results/loss $rate)
    awk "BEGIN { exit !($turned > $plain) }" || die "$rate: $turned for low scores, $plain for high ones"
  done
}

# A token file of an earlier version does not record documents: its intervals are of sequences, and the figures say so.
case_an_earlier_version() {
  mkdir former && tar -C former -xf "$root/tests/fixtures/former_run/former_run.tar.xz"
  expect_exit 0 "Intervals are resampled by sequence" "$expunge" mia --model former/run --tokens former/tokens.h5 \
    --domain papers --non-members retain --output former-mia.h5 --quiet
  h5dump -a /resampled_by former-mia.h5 | grep -q '"sequence"' || die "the file does not say what is resampled"
  expect_exit 0 "text that splits share is not recorded: an earlier version wrote the file" "$expunge" inspect former/tokens.h5
}

# A model that has not learnt them tells nothing; without a reference model there is no such attack.
case_few_sequences() {
  "${mia[@]}" --model fresh --output fresh-mia.h5 --max-eval-samples 8 >/dev/null
  [[ $(attribute fresh-mia.h5 /results/loss members) == 8 && $(attribute fresh-mia.h5 /results/loss non_members) == 8 ]] ||
    die "--max-eval-samples"
  h5ls fresh-mia.h5/results | grep -q reference && die "reference without a reference model"
  # More ranks than sequences: some have nothing to do, and nothing changes.
  expect_exit 0 "warning.*: 2 members and 2 non-members: with fewer than 30 per side" \
    "${mia[@]}" --model base --output few.h5 --max-eval-samples 2
  ranks 4 "${mia[@]}" --model base --output few-four.h5 --max-eval-samples 2 >/dev/null
  same_results few.h5 few-four.h5 || die "more ranks than sequences"
}

# Fewer non-members than members: all of them, and a warning. Other inputs are refused.
case_refusals() {
  "${mia[@]}" --model base --members papers/retain --non-members general/evaluation --output fewer.h5 >out.txt 2>&1
  if [[ $(attribute fewer.h5 /results/loss non_members) -lt $(attribute fewer.h5 /results/loss members) ]]; then
    grep -q "all of them are used" out.txt || die "no warning: $(cat out.txt)"
  else
    die "the test needs fewer texts in general/evaluation"
  fi
  expect_exit 3 "papers/nothing: there is no such split; 'papers' has: approximate, forget, retain" \
    "${mia[@]}" --model base --members nothing --output x.h5
  expect_exit 3 "no domain 'nowhere'" "$expunge" mia --tokens tokens.h5 --model base --domain nowhere --output x.h5
  expect_exit 2 "both papers/forget: name two splits" "${mia[@]}" --model base --non-members papers/forget --output x.h5
  expect_exit 4 "fewer.h5: exists already.*--overwrite" "${mia[@]}" --model base --output fewer.h5
  expect_exit 3 "neither a model folder" "${mia[@]}" --model base --reference-model texts --output x.h5
  [[ ! -e x.h5 ]] || die "a refused run left a file"
}

# Four targets have no lowest fifth; what can be told of them is told.
case_short_sequences() {
  "$expunge" tokenize --tokenizer init --data texts --output short.h5 --max-length 5 --quiet
  expect_exit 0 "papers/forget: every sequence is too short for min_k_20, so it is left out" \
    "$expunge" mia --tokens short.h5 --domain papers --max-eval-samples 20 --model base --output short-mia.h5
  [[ $(h5ls short-mia.h5/results | wc -l) == 12 ]] || die "attacks of short sequences"
}

# A collapsed model is no finding about membership.
case_a_collapsed_model() {
  "$expunge" export --checkpoint base --output-dir model --quiet
  bytes=$(stat -c %s model/model.safetensors)
  head -c 4096 /dev/zero | tr '\0' '\377' | dd of=model/model.safetensors bs=1 seek=$((bytes - 4096)) conv=notrunc status=none
  expect_exit 5 "papers/forget, sequence 0, is -?nan: the model has collapsed" ranks 2 "${mia[@]}" --model model --output x.h5
  expect_exit 5 "papers/forget, sequence 0, is not finite: the model has collapsed" ranks 2 "$expunge" eval --tokens tokens.h5 \
    --domain papers --split forget --model model --output x.h5
  expect_exit 4 "nowhere/x.h5: cannot be written: there is no folder nowhere" "${mia[@]}" --model base --output nowhere/x.h5
}

# Without a tokenizer there is no text for zlib.
case_without_a_tokenizer() {
  "$expunge" export --checkpoint base --output-dir bare --quiet && rm bare/tokenizer.model
  expect_exit 0 "no tokenizer.model, so the zlib attack has no text" "${mia[@]}" --model bare --output bare.h5
  ! h5ls bare.h5/results | grep -q zlib || die "zlib without a text"
}

run_case
