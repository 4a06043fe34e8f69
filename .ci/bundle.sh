#!/usr/bin/env bash
# usage: bundle.sh FOLDER PROGRAM...: a folder that runs these programs and mpirun on another Linux machine of the same processor
# family, whatever is installed there: the programs, every library that they need down to the C library, Open MPI's launcher,
# plugins and help texts. CUDA's libraries and NCCL are taken from the machine where it runs; on one without them the programs
# start all the same, and compute on the CPU.
set -euo pipefail
folder=$1
shift

# Libraries of the machine where the bundle runs: they belong to its driver, and are large.
from_host='^lib(cuda|cudart|cublas|cublasLt|cudnn.*|nccl|nvidia.*)\.so'
# Plugins for networks whose drivers belong to a machine, and for OpenSHMEM. TCP and shared memory stay.
left_out='(ucx|ofi|openib|psm|psm2|flux|jsm)\.so$|mca_(spml|sshmem|scoll|memheap|atomic)_|dbg_msgq'

fail() { echo "$0: $1" >&2; exit 1; }
setting() { ompi_info --parsable --path "$1" | cut -d: -f3-; }
plugins=$(setting pkglibdir) data=$(setting pkgdatadir)
orterun=$(readlink -f "$(command -v mpirun)") orted=$(readlink -f "$(command -v orted)")
[[ -d $plugins && -d $data && -x $orterun && -x $orted ]] || fail "Open MPI's launcher and plugins were not found"

rm -rf "$folder"
mkdir -p "$folder"/{bin,lib,libexec,plugins,pmix,share,etc,absent}
cp "$@" "$folder/libexec/"
cp "$orterun" "$folder/libexec/orterun"
cp "$orted" "$folder/libexec/orted"
for plugin in "$plugins"/*.so; do [[ $plugin =~ $left_out ]] || cp -L "$plugin" "$folder/plugins/"; done
cp -r "$data" "$folder/share/openmpi"
cp /etc/openmpi/openmpi-mca-params.conf "$folder/etc/" 2>/dev/null || true
# The process manager's own plugins and texts lie beside its library.
pmix=$(ldd "$folder/plugins/mca_pmix_ext3x.so" | awk '/libpmix/ { print $3 }')
pmix=$(dirname "$(readlink -f "$pmix")")
cp -L "$pmix"/pmix/*.so "$folder/pmix/"
cp -r "$pmix/../share/pmix" "$folder/share/pmix"

# Everything that these need, the loader of the C library with it. Plugins name some libraries that only they use.
libraries=$(ldd "$folder"/libexec/* "$folder"/plugins/*.so "$folder"/pmix/*.so 2>/dev/null |
  awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 }' | sort -u)
for library in $libraries; do
  [[ $(basename "$library") =~ $from_host ]] || cp -Lu "$library" "$folder/lib/"
done

# A library of the machine's that may not be there has a stand-in, found last, without which the loader would refuse the programs.
# Who calls one of its functions is told what is missing, and ends. It bears the library's version of its symbols, if they have one.
symbols() { nm -D "$@" | awk 'NF > 1 { sub(/@.*/, "", $NF); print $NF }' | sort -u; }
ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | sort -u | while read -r library path; do
  [[ $library =~ $from_host ]] || continue
  stand_in=$folder/absent/$library
  {
    printf '#include <stdio.h>\n#include <stdlib.h>\nstatic void absent(void) {\n  fputs("expunge: this needs %s, which this machine lacks: ' "$library"
    printf 'name its folder in LD_LIBRARY_PATH, or compute with --device cpu\\n", stderr);\n  _Exit(2);\n}\n'
    comm -12 <(symbols --undefined-only "$@") <(symbols --defined-only "$path") | sed 's/.*/void &(void) { absent(); }/'
  } >"$stand_in.c"
  echo "$(nm -D --defined-only "$path" | sed -n 's/.*@@//p' | sort -u) { global: *; };" >"$stand_in.versions"
  ${CC:-cc} -shared -fPIC -O1 -Wl,-soname,"$library" -Wl,--version-script="$stand_in.versions" -o "$stand_in" "$stand_in.c"
  rm "$stand_in.c" "$stand_in.versions"
done
loader=$(basename "$(ls "$folder"/lib/ld-linux*)")
strip --strip-unneeded "$folder"/libexec/* "$folder"/plugins/*.so "$folder"/pmix/*.so "$folder"/{lib,absent}/*.so* 2>/dev/null || true
second=$(find "$folder/lib" -name 'lib*blas*' -o -name 'libblis*' -o -name 'libmkl*' -o -name 'libatlas*')
[[ -z $second ]] || fail "a second BLAS crept in beside oneDNN: $second"

# The loader is named by hand, so that the C library is the bundle's; Open MPI is told where it lies now.
cat >"$folder/bin/expunge" <<WRAPPER
#!/bin/sh
# Starts a program of the bundle: the one whose name this has.
home=\$(cd "\$(dirname "\$(readlink -f "\$0")")/.." && pwd)
export OPAL_PREFIX="\$home" OPAL_BINDIR="\$home/bin" OPAL_LIBDIR="\$home/lib" OPAL_PKGLIBDIR="\$home/plugins"
export OPAL_PKGDATADIR="\$home/share/openmpi" OPAL_SYSCONFDIR="\$home/etc" OPAL_DATADIR="\$home/share"
export PMIX_PREFIX="\$home" PMIX_PKGLIBDIR="\$home/pmix" PMIX_PKGDATADIR="\$home/share/pmix"
# Open MPI refuses to start where it finds no way to other machines.
command -v ssh >/dev/null || command -v srun >/dev/null || export OMPI_MCA_plm="\${OMPI_MCA_plm:-isolated}"
program=\$(basename "\$0")
[ "\$program" = mpirun ] && program=orterun
exec "\$home/lib/$loader" --library-path "\$home/lib:\$LD_LIBRARY_PATH:/usr/local/cuda/lib64:/usr/local/cuda/lib:/usr/lib64:/usr/lib/x86_64-linux-gnu:\$home/absent" \\
  --argv0 "\$home/bin/\$(basename "\$0")" "\$home/libexec/\$program" "\$@"
WRAPPER
chmod +x "$folder/bin/expunge"
for name in "${@##*/}" mpirun orted; do [[ $name == expunge ]] || ln -s expunge "$folder/bin/$name"; done

archive=$folder.tar.xz
tar -C "$(dirname "$folder")" -cf - "$(basename "$folder")" | xz -T0 -6 >"$archive"
size=$(stat -c %s "$archive")
most=45  # MiB; what is larger has taken a library of the machine's, or a second BLAS, with it
printf '%s: %.1f MiB; %s: %.1f MiB compressed\n' "$folder" "$(du -sb "$folder" | awk '{ print $1 / 1048576 }')" "$archive" \
  "$(awk -v n="$size" 'BEGIN { print n / 1048576 }')"
((size <= most << 20)) || fail "$archive is larger than $most MiB"
