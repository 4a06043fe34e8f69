#!/usr/bin/env bash
# An installation starts, its scripts find the program, and its module file names where it lies.
source "$(dirname "$0")/common.sh" "$@"
build=$(dirname "$expunge")
while read -r variable; do unset "$variable"; done < <(compgen -e | grep -E '^(SLURM|SBATCH|EXPUNGE)_' || true)

installed="$work/the prefix"
cmake --install "$build" --prefix "$installed" >install.txt || { cat install.txt >&2; die "cmake --install"; }
cd "$installed"
[[ $(find . -maxdepth 3 -type d | grep -v modulefiles | sort | xargs) == \
  ". ./bin ./share ./share/expunge ./share/expunge/configs ./share/expunge/data ./share/expunge/slurm" ]] || { find . >&2; die "folders"; }
[[ ! -e share/expunge/slurm/env ]] || die "the settings of the clone were installed"
expect_exit 0 "^expunge [0-9.]+$" bin/expunge --version
version=$(sed -nE 's/^expunge //p' out.txt)
module=share/expunge/modulefiles/expunge/$version
grep -qF "set prefix {$installed}" "$module" || { cat "$module" >&2; die "the module file names another place"; }
! grep -n "@" "$module" || die "the module file has a gap"
if command -v tclsh >/dev/null; then
  # What a module system gives such a file to call.
  printf '%s\n' 'foreach call {module-whatis conflict module} { proc $call args {} }' \
    'foreach call {prepend-path setenv} { proc $call {name value} { puts "$name=$value" } }' 'source [lindex $argv 0]' >read.tcl
  expect_exit 0 "^EXPUNGE_SLURM=$installed/share/expunge/slurm$" tclsh read.tcl "$module"
fi

# From anywhere, with settings that name no program.
cd "$work"
mkdir model texts
sed 's/--account=my_project//' "$installed/share/expunge/slurm/env.example" >settings
submit=("$installed/share/expunge/slurm/submit.sh" --dry-run --model model --data texts --tokens tokens.h5 --output-dir runs/one)
expect_exit 0 "unlearn.sbatch --model $work/model " env EXPUNGE_ENV=settings "${submit[@]}" \
  --config "$installed/share/expunge/configs/yi-6b-arxiv-gradient_ascent.cfg"
expect_exit 0 "^\\$ .*/the\\\\ prefix/bin/expunge tokenize" env EXPUNGE_ENV=settings \
  "$installed/share/expunge/slurm/tokenize.sbatch" --dry-run --data texts
# A clone's scripts take the program that was built in it, others that of PATH.
cp -r "$installed/share/expunge/slurm" scripts
expect_exit 2 "expunge is '', which is not an executable file" env EXPUNGE_ENV=settings PATH=/usr/bin:/bin scripts/tokenize.sbatch --dry-run
expect_exit 0 "^\\$ .*prefix/bin/expunge tokenize" env EXPUNGE_ENV=settings PATH="$installed/bin:$PATH" scripts/tokenize.sbatch --dry-run
mkdir build
cp "$expunge" build/
expect_exit 0 "^\\$ $work/build/expunge tokenize" env EXPUNGE_ENV=settings scripts/tokenize.sbatch --dry-run

# For packages: the files lie below DESTDIR and speak of the prefix alone.
DESTDIR="$work/package" cmake --install "$build" --prefix /opt/expunge >install.txt || die "with DESTDIR"
[[ -x package/opt/expunge/bin/expunge ]] || die "DESTDIR was not heeded"
grep -qF "set prefix {/opt/expunge}" "package/opt/expunge/$module" || die "the module file names DESTDIR"
if command -v make >/dev/null; then
  # `make install` asks for just this.
  expect_exit 0 "cmake --install build --prefix" make -C "$root" -n install PREFIX="$work/made"
fi
echo passed
