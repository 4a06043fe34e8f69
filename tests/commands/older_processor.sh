#!/usr/bin/env bash
# One binary on other processors than that which built it, by emulation: where there is AVX2 it computes, where there is not it
# says so.
source "$(dirname "$0")/common.sh" "$@"
unset ONEDNN_MAX_CPU_ISA # the processor alone decides
if [[ $(uname -m) != x86_64 ]] || ! command -v qemu-x86_64 >/dev/null; then
  echo "skipped: needs x86-64 and qemu-x86_64 (package qemu-user)"
  exit 77
fi
as() { qemu-x86_64 -cpu "$1" "$expunge" "${@:2}"; }

case_says_what_it_lacks() {
  expect_exit 0 "kernels +AVX2, oneDNN avx2$" as Haswell --version
  # Each names what it lacks and nothing else, before it reads the command line.
  expect_exit 2 "^expunge: error: the processor of .* lacks AVX, AVX2, BMI1, BMI2, FMA, F16C, MOVBE, LZCNT: " as Nehalem --version
  [[ $(grep -cv "^qemu" out.txt) == 1 ]] || { cat out.txt >&2; die "more than one line"; }
  expect_exit 2 "lacks AVX2, BMI1, BMI2, FMA, MOVBE, LZCNT: " as IvyBridge eval --model none
  expect_exit 2 "lacks BMI2: " as Haswell,-bmi2 train
  expect_exit 2 "lacks AVX, AVX2, " as qemu64 --help
  # Ranks before MPI: the first of a node speaks.
  expect_exit 2 "lacks AVX, " env OMPI_COMM_WORLD_RANK=4 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=0 qemu-x86_64 -cpu Nehalem \
    "$expunge" --version
  OMPI_COMM_WORLD_RANK=5 OMPI_COMM_WORLD_SIZE=8 OMPI_COMM_WORLD_LOCAL_RANK=1 as Nehalem --version >second.txt 2>&1 && die "a rank went on"
  ! grep -v "^qemu" second.txt || { cat second.txt >&2; die "every rank speaks"; }
}

case_computes() {
  make_inputs
  ONEDNN_MAX_CPU_ISA=AVX2 "$expunge" "${train[@]}" --max-steps 2 --dtype float32 --output-dir here --quiet
  as Haswell "${train[@]}" --max-steps 2 --dtype float32 --output-dir there --quiet
  h5diff -d 1e-5 here/metrics.h5 there/metrics.h5 /train/loss || die "another processor trains to other losses"
  expect_exit 0 "kernels    AVX2, oneDNN avx2$" h5dump -a /libraries there/checkpoints/step-000002/checkpoint.h5
  evaluation=(eval --model there --tokens tokens.h5 --domain papers --split forget --max-eval-samples 2 --dtype float32 --quiet)
  as Haswell "${evaluation[@]}" --output there/eval.h5 >/dev/null
  "$expunge" "${evaluation[@]}" --output here/eval.h5 >/dev/null
  h5diff -d 1e-5 here/eval.h5 there/eval.h5 /papers || die "another processor measures other figures"
}

run_case
