#!/usr/bin/env bash
# Several calls of submit.sh that need one file: the first submits the job that makes it, the others wait for that job, whatever
# path leads to the file and wherever they are called from. Jobs that would write one file by other options follow each other.
source "$(dirname "$0")/../commands/common.sh" "$1"
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^(SLURM|SBATCH|EXPUNGE)_' || true)
slurm=$root/slurm
export EXPUNGE_ENV=$work/env FAKE=$work/fake
sed "s#^expunge=.*#expunge=$expunge#" "$slurm/env.example" >env

# A Slurm that only takes notes: jobs counted from 1, each with its name and command in fake/.
mkdir fake bin
cat >bin/sbatch <<'SH'
#!/usr/bin/env bash
for ((id = $(ls "$FAKE" | wc -l) + 1; ; ++id)); do mkdir "$FAKE/.$id" 2>/dev/null && break; done # two calls get two numbers
[[ ! -e $FAKE/../refuse || $id -lt $(<"$FAKE/../refuse") ]] || { echo "sbatch: error: invalid account" >&2; exit 1; }
printf '%s\n' "$@" >"$FAKE/$id"
echo "$id;cluster"
SH
cat >bin/squeue <<'SH'
#!/usr/bin/env bash
[[ ! -e $FAKE/../down ]] || { echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; }
[[ "$*" == *"--format=%F %j"* && "$*" == *PENDING* && "$*" == *RUNNING* ]] || exit 1
for file in $(ls "$FAKE" | sort -n); do
  [[ ! -e $FAKE/../ended/$file ]] || continue
  echo "$file $(sed -n 's/^--job-name=//p' "$FAKE/$file")"
done
SH
printf '#!/bin/sh\necho "$@" >>"$FAKE/../cancelled"\n' >bin/scancel
chmod +x bin/*
export PATH=$PWD/bin:$PATH
mkdir ended

mkdir -p models/Yi texts/papers elsewhere
ln -s "$PWD/texts" elsewhere/link
printf 'domain = papers\nmethod = gradient_ascent\n' >study.cfg
study=(--model models/Yi --data texts --tokens tokens.h5 --config study.cfg)
submit() { "$slurm/submit.sh" "$@" >jobs.txt || die "submit.sh $*"; cat jobs.txt; }
id() { awk -v stage="$1" '$1 == stage { print $2 }' jobs.txt; }
waits() { sed -n 's/^--dependency=//p' "fake/$1"; }

submit "${study[@]}" --output-dir runs/one
[[ $(awk '{ print $1 }' jobs.txt | xargs) == "tokenize evaluate-before mia-before unlearn evaluate mia report" ]] || die "stages"
tokenize=$(id tokenize) mia=$(id mia-before)
[[ $(waits "$(id unlearn)") == "afterok:$tokenize" ]] || die "unlearn waits for $(waits "$(id unlearn)")"

# The same tokens, the same figures of the original model: neither is made again, from another folder and by other paths.
(cd elsewhere && submit --model ../models/Yi --tokens ../texts/../tokens.h5 --config ../study.cfg --output-dir ../runs/two -- --seed 7)
cp elsewhere/jobs.txt .
[[ $(awk '{ print $1 }' jobs.txt | xargs) == "tokenize mia-before unlearn evaluate mia report" ]] || die "stages of a second study"
[[ $(id tokenize) == "$tokenize" && $(id mia-before) == "$mia" ]] || die "made again: $(xargs <jobs.txt)"
grep -q "^tokenize .*queued already" jobs.txt || die "no word of a job that is queued already"
[[ $(waits "$(id unlearn)") == "afterok:$tokenize" ]] || die "the second unlearn waits for $(waits "$(id unlearn)")"
[[ $(waits "$(id report)") == "afterok:$mia,afterok:$(id mia)" ]] || die "the second report waits for $(waits "$(id report)")"
[[ $(cat fake/* | grep -c "^--job-name=expunge-tokenize-") == 1 ]] || die "tokens are made twice"
expect_exit 0 "dependency=afterok:$tokenize " "$slurm/submit.sh" --dry-run "${study[@]}" --output-dir runs/three
! grep -q "tokenize.sbatch" out.txt || die "a dry run would make tokens twice"

# Figures by other options: they follow those that are queued. So does a run in a folder that a job has.
echo "micro-batch-tokens = 512" >eval.cfg
last=$(ls fake | wc -l)
submit "${study[@]}" --output-dir runs/one --eval-config eval.cfg
[[ $(waits "$(id evaluate-before)") == "afterok:$tokenize,afterany:2" ]] || die "other figures wait for $(waits "$(id evaluate-before)")"
[[ $(waits "$(id unlearn)") == "afterok:$tokenize,afterany:4" ]] || die "the same run waits for $(waits "$(id unlearn)")"
[[ $(id evaluate) -gt $last && $(waits "$(id evaluate)") == "afterok:$(id unlearn),afterany:5" ]] || die "eval.h5 is written by two jobs at once"

again=$(id unlearn)
submit "${study[@]}" --output-dir runs/one --eval-config eval.cfg
[[ $(waits "$(id unlearn)") == "afterok:$tokenize,afterany:$again" ]] || die "the third run waits for $(waits "$(id unlearn)")"

# Other tokens are another file; a job that has ended makes nothing any more.
submit "${study[@]/tokens.h5/others.h5}" --output-dir runs/four
[[ $(id tokenize) != "$tokenize" ]] || die "other tokens are taken for the same"
touch "ended/$tokenize"
submit "${study[@]}" --output-dir runs/five
[[ $(id tokenize) -gt $tokenize ]] || die "a job that has ended is waited for"

# Two calls at the same moment, each of which looked at the queue before the other's job was there: one makes the tokens.
mv fake fake.before && mv ended ended.before && mkdir fake ended
for run in seven eight; do
  "$slurm/submit.sh" "${study[@]/tokens.h5/raced.h5}" --output-dir runs/$run >"$run.txt" &
  [[ $run == eight ]] || sleep "0.0$((RANDOM % 9))"
done
wait
kept=$(grep -lx -- "--job-name=expunge-tokenize-.*" fake/* | xargs -n 1 basename | sort -n | head -n 1)
for run in seven eight; do
  [[ $(awk '$1 == "tokenize" { print $2 }' "$run.txt") == "$kept" ]] || die "$run waits for $(grep tokenize "$run.txt"), not for $kept"
done
made=$(grep -lx -- "--job-name=expunge-tokenize-.*" fake/* | wc -l)
touch cancelled
(($(wc -l <cancelled) == made - 1)) || die "of $made jobs for the tokens these were cancelled: $(xargs <cancelled)"
rm -r cancelled fake ended && mv fake.before fake && mv ended.before ended

# Jobs of another call are not taken back where sbatch refuses one of ours; nothing is guessed where squeue does not answer.
echo $(($(ls fake | wc -l) + 2)) >refuse
expect_exit 1 "taking back jobs" "$slurm/submit.sh" "${study[@]}" --output-dir runs/six
[[ $(<cancelled) == "$(($(<refuse) - 1))" ]] || die "taken back: $(<cancelled)"
rm refuse
touch down
expect_exit 2 "squeue does not say which jobs are queued" "$slurm/submit.sh" "${study[@]}" --output-dir runs/seven
rm down
# Without --data, where a job makes the tokens.
expect_exit 0 "queued already" "$slurm/submit.sh" "${study[@]:0:2}" "${study[@]:4}" --output-dir runs/eight
echo passed
