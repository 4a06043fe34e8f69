#!/usr/bin/env bash
# Which kernels computed: named by --version and every output, and by a resume or ranks that have others. ONEDNN_MAX_CPU_ISA stands
# in for other processors.
source "$(dirname "$0")/common.sh" "$1"
if [[ $(uname -m) != x86_64 ]]; then
  echo "skipped: only x86-64 has kernels to choose from"
  exit 77
fi
make_inputs
expect_exit 0 "^  kernels    AVX2, oneDNN avx2$" "$expunge" --version
older=(env ONEDNN_MAX_CPU_ISA=AVX "$expunge")
expect_exit 0 "^  kernels    AVX2, oneDNN avx$" "${older[@]}" --version

# names FILE KERNELS: what a file says of itself.
names() { expect_exit 0 "kernels    $2$" h5dump -a /libraries "$1"; }
run=("${train[@]}" --save-steps 1 --dtype float32 --output-dir run)
"$expunge" "${run[@]}" --max-steps 4 --quiet
names tokens.h5 "AVX2, oneDNN avx2"
names run/metrics.h5 "AVX2, oneDNN avx2"
rm -r run/checkpoints/step-00000[34]
expect_exit 0 "finished already|resuming after step 2" "$expunge" "${run[@]}" --max-steps 4
! grep -q "kernels" out.txt || { cat out.txt >&2; die "a warning of the same kernels"; }
rm -r run/checkpoints/step-00000[34]
expect_exit 0 "began with kernels of AVX2, oneDNN avx2 and continues with kernels of AVX2, oneDNN avx: the result is not bitwise" "${older[@]}" \
  "${run[@]}" --max-steps 4
[[ $(grep -c "not bitwise" out.txt) == 1 ]] || { cat out.txt >&2; die "said more than once"; }
names run/checkpoints/step-000002/checkpoint.h5 "AVX2, oneDNN avx2"
names run/checkpoints/step-000004/checkpoint.h5 "AVX2, oneDNN avx"
for command in eval mia; do
  "${older[@]}" $command --model run --tokens tokens.h5 --domain papers --output $command.h5 --quiet >/dev/null
  names $command.h5 "AVX2, oneDNN avx"
done
"$expunge" export --checkpoint run --output-dir model --quiet
expect_exit 0 "kernels    AVX2, oneDNN avx$" jq -r .libraries model/expunge.json

# Ranks on nodes of two kinds: both are named, and rank 0 warns once.
expect_exit 0 "ranks use different kernels \(AVX2, oneDNN avx2; AVX2, oneDNN avx\)" ranks 1 "$expunge" "${train[@]}" \
  --max-steps 1 --dtype float32 --output-dir mixed : -n 1 "${older[@]}" "${train[@]}" --max-steps 1 --dtype float32 --output-dir mixed
[[ $(grep -c "different kernels" out.txt) == 1 ]] || { cat out.txt >&2; die "said more than once"; }
names mixed/checkpoints/step-000001/checkpoint.h5 "AVX2, oneDNN avx2; AVX2, oneDNN avx"
echo passed
