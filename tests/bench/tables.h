// The tables that the benchmark prints.
#pragma once

#include <string>
#include <vector>

#include "bench/contestant.h"
#include "bench/cost.h"

namespace expunge::bench {

void print_machine(const Machine& machine);
/// What all kernels of a run cost together.
Cost costs_of(const Run& run);
/// A row a contestant; ours comes first and tells how many products the work needs. `tokens` of one run.
void print_contest(const Machine& machine, const std::vector<Result>& results, double tokens);
/// Where our time goes, and the share of its roofline that the whole and each kernel reach.
void print_kernels(const Machine& machine, const std::string& dtype, const Result& ours);

}  // namespace expunge::bench
