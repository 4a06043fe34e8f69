#!/usr/bin/env bash
# Text that splits share: counted and told of by tokenize, inspect, unlearn and report; membership inference leaves it out.
source "$(dirname "$0")/common.sh" "$1"
make_inputs
expect_exit 0 "^text that splits share: none; documents are nearly equal from a similarity of 0.8 on" "$expunge" inspect tokens.h5

# The same documents in all splits of a domain, but for one word of one document of retain.
mkdir -p shared/papers
for split in forget approximate; do cp texts/papers/forget.jsonl shared/papers/$split.jsonl; done
sed '1s/ [A-Za-z]* / printer /' texts/papers/forget.jsonl >shared/papers/retain.jsonl
cmp -s shared/papers/retain.jsonl shared/papers/forget.jsonl && die "the documents do not differ"
pair="papers/forget and papers/retain share text: 11 and 11 equal documents .12 and 12 with nearly equal ones"
expect_exit 0 "warning.*: $pair" "$expunge" tokenize --tokenizer init --data shared --output shared.h5 --max-length 64
[[ $(attribute shared.h5 /papers/forget/duplicates/papers/approximate documents) == 12 ]] || die "documents of a pair"
[[ $(attribute shared.h5 /papers/forget/duplicates/papers/retain documents) == 11 ]] || die "documents but for one"
[[ $(attribute shared.h5 /papers/forget/duplicates/papers/retain near_documents) == 12 ]] || die "nearly equal documents"
n=$(attribute shared.h5 /papers/forget sequences)
[[ $(attribute shared.h5 /papers/forget/duplicates/papers/approximate sequences) == "$n" ]] || die "sequences of a pair"
expect_exit 0 "^papers/forget +papers/approximate +12 +12 +$n$" "$expunge" inspect shared.h5
OMP_NUM_THREADS=3 "$expunge" tokenize --tokenizer init --data shared --output again.h5 --max-length 64 --quiet 2>/dev/null
same_results shared.h5 again.h5 || die "the counts depend on the threads"
expect_exit 0 "warning.*: 11 and 11 equal documents, [0-9]+ and" "$expunge" tokenize --tokenizer init --data shared \
  --output exact.h5 --max-length 64 --near-duplicate-threshold 0
expect_exit 0 "; nearly equal documents were not counted" "$expunge" inspect exact.h5
h5dump -H exact.h5 | grep -q near_documents && die "counts of what was not looked for"
expect_exit 2 "near-duplicate-threshold.*0 or a number from 0.5 to 1" "$expunge" tokenize --tokenizer init --data shared \
  --output x.h5 --near-duplicate-threshold 0.3

# A document that stands in its own split twice.
mkdir -p twice/papers && head -n 3 texts/papers/forget.jsonl | sed -n 'p;1p' >twice/papers/forget.jsonl
expect_exit 0 "warning.*: papers/forget holds text more than once: 2 equal documents, [0-9]+ equal sequences" \
  "$expunge" tokenize --tokenizer init --data twice --output twice.h5 --max-length 64

# A run that forgets what it keeps says so, on one rank of two, and so does its report; a run of other texts does not.
"$expunge" "${train[@]}" --quiet --max-steps 1 --output-dir base
unlearn=("$expunge" unlearn --model base --domain papers --method ascent_plus_descent --max-steps 1 --global-batch-size 2)
expect_exit 0 "warning.*: $pair" ranks 2 "${unlearn[@]}" --tokens shared.h5 --output-dir run
[[ $(grep -c "$pair" out.txt) == 1 ]] || die "both ranks warn"
"$expunge" report run --output run.html --quiet
for page in run.html run.md; do
  sed 's/\\//g; s/<wbr>//g' "$page" | grep "$pair" >/dev/null || die "$page does not warn"
done
sed 's/\\//g' run.md | grep "| papers/forget | papers/approximate | 12 | 12 | $n |" >/dev/null || die "the report does not count"
"${unlearn[@]}" --tokens tokens.h5 --output-dir other >out.txt 2>&1
grep -q "share text" out.txt && die "a run without shared text warns: $(cat out.txt)"
"$expunge" report other --output other.html --quiet
grep -q "None was found" other.md || die "the report of a run without shared text"

# Membership inference: nothing is left of equal sides; of sides that share something the rest counts.
mia=("$expunge" mia --model base --domain papers --quiet)
expect_exit 3 "shared.h5: papers/forget and papers/approximate share $n and $n of their sequences, so 0 and 0 remain" \
  ranks 2 "${mia[@]}" --tokens shared.h5 --output x.h5
[[ ! -e x.h5 ]] || die "a refused command left a file"
mkdir -p some/papers
cp texts/papers/forget.jsonl some/papers
{ head -n 2 texts/papers/forget.jsonl; cat texts/papers/approximate.jsonl; } >some/papers/approximate.jsonl
"$expunge" tokenize --tokenizer init --data some --output some.h5 --max-length 64 --quiet 2>/dev/null
shared=$(attribute some.h5 /papers/forget/duplicates/papers/approximate sequences)
expect_exit 0 "warning.*: $shared sequences of papers/forget and $shared of papers/approximate are on both sides" \
  "${mia[@]}" --tokens some.h5 --output some-mia.h5
[[ $(attribute some-mia.h5 "" members_on_both_sides) == "$shared" ]] || die "members on both sides"
[[ $(attribute some-mia.h5 "" non_members_on_both_sides) == "$shared" ]] || die "non-members on both sides"
[[ $(attribute some-mia.h5 /results/loss members) == $((n - shared)) ]] || die "members that remain"
first=$(h5dump -d /sequence -c 1 some-mia.h5 | sed -nE 's/^ *\(0\): (.*)$/\1/p')
[[ $first == "$shared" ]] || die "the first sequence that is scored is $first, expected $shared"
cp -r run with-mia && cp some-mia.h5 with-mia/mia.h5
"$expunge" report with-mia --output with-mia.html --quiet
grep -q "on both sides are left out: $shared of the members, $shared of the non-members" with-mia.md || die "the report of what is left out"
echo passed
