#!/usr/bin/env bash
# Launchers of another MPI, whose processes would each take themselves for the whole job; those whose variables mean nothing.
source "$(dirname "$0")/common.sh" "$@"

run=("$expunge" "${train[@]}" --max-steps 1 --quiet)
refused() { # VARIABLE=VALUE...
  expect_exit 2 "started this process as number 1 of 4 \(.*=4\), but MPI found 1 of them" env "$@" "${run[@]}" --output-dir run
  [[ ! -e run ]] || die "a refused run left a folder"
}

set_up() {
  make_inputs
}

case_launchers_of_another_mpi() {
  for names in OMPI_COMM_WORLD_SIZE:OMPI_COMM_WORLD_RANK PMI_SIZE:PMI_RANK PMIX_SIZE:PMIX_RANK MV2_COMM_WORLD_SIZE:MV2_COMM_WORLD_RANK \
    MPI_LOCALNRANKS:MPI_LOCALRANKID FLUX_JOB_SIZE:FLUX_TASK_RANK PALS_SIZE:PALS_RANKID SLURM_STEP_NUM_TASKS:SLURM_PROCID; do
    [[ $names != OMPI* && $names != PMIX* ]] || continue # Open MPI itself acts on these
    refused "${names%:*}=4" "${names#*:}=1"
  done
  refused WORLD_SIZE=4 RANK=1 LOCAL_RANK=1
  for command in eval mia; do
    expect_exit 2 "MPI found 1 of them" env PMI_SIZE=4 PMI_RANK=1 "$expunge" $command --model init --tokens tokens.h5 --domain papers --output x.h5
  done
}

# A single process in a batch script, one beside leftovers of other programs, and mpirun within a job step.
case_launchers_that_mean_nothing() {
  env SLURM_JOB_ID=1 SLURM_NTASKS=4 SLURM_PROCID=0 "${run[@]}" --output-dir batch
  env WORLD_SIZE=4 "${run[@]}" --output-dir leftover
  env PMI_SIZE=1 PMI_RANK=0 FLUX_JOB_SIZE=1 FLUX_TASK_RANK=0 "${run[@]}" --output-dir single
  env SLURM_STEP_NUM_TASKS=3 SLURM_PROCID=1 mpirun -n 2 --oversubscribe --bind-to none "${run[@]}" --output-dir within
  [[ $(ls batch leftover single within | grep -c '^metrics.h5') == 4 ]] || die "a run is missing"
  # Commands that need no ranks.
  env PMI_SIZE=4 PMI_RANK=1 "$expunge" tokenize --tokenizer init --data texts --output other.h5 --quiet
  expect_exit 0 "papers/forget" env PMI_SIZE=4 PMI_RANK=1 "$expunge" inspect other.h5
}

run_case
