// Contests as rows, kernels as rows.
#include "bench/tables.h"

#include <fmt/format.h>

#include <algorithm>

namespace expunge::bench {

void print_machine(const Machine& m) {
  fmt::print(
      "measured: {:.1f} GFLOP/s multiply-adds in registers, best products {:.1f} fp32 and {:.1f} bf16, memory {:.1f} GB/s, "
      "{:.2f} G exponentials/s\n",
      1e-9 * m.fma_flops, 1e-9 * m.product_flops.at("float32"), 1e-9 * m.product_flops.at("bfloat16"), 1e-9 * m.bytes,
      1e-9 * m.exponentials);
}

Cost costs_of(const Run& run) {
  Cost sum;
  for (const auto& [name, cost] : run.answer.at("kernels").get<CostByKernel>()) sum += cost;
  return sum;
}

void print_contest(const Machine& machine, const std::vector<Result>& results, double tokens) {
  const Result& first = results.front();
  const double flops = costs_of(first.median()).flops;
  fmt::print("{:<44}{:>12}{:>11}{:>10}{:>9}{:>10}{:>9}{:>8}\n", "median of the runs", "ms", "tokens/s", "GFLOP/s", "of peak",
             "peak MB", "ratio", "runs");
  for (const Result& result : results) {
    const double seconds = result.seconds(), rate = flops / seconds;
    fmt::print("{:<44}{:>12.1f}{:>11.0f}{:>10.1f}{:>7.1f} %{:>10.0f}{:>8.2f}x{:>8}\n", result.name, 1e3 * seconds,
               tokens / seconds, 1e-9 * rate, 100 * rate / machine.fma_flops, 1e-6 * result.peak_bytes(),
               seconds / first.seconds(), result.runs.size());
  }
  if (results.size() == 1) fmt::print("{:<44}{:>12}\n", "PyTorch and transformers", "not installed");
}

void print_kernels(const Machine& machine, const std::string& dtype, const Result& ours) {
  const Run& run = ours.median();
  const auto kernels = run.answer.at("kernels").get<CostByKernel>();
  std::vector<std::pair<std::string, Cost>> rows(kernels.begin(), kernels.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  const Cost all = costs_of(run);
  double roofline = 0;
  for (const auto& [name, cost] : rows) roofline += cost.roofline(machine, dtype);
  rows.emplace_back("outside kernels", Cost{.seconds = run.seconds - all.seconds});
  fmt::print("roofline {:.1f} ms: we reach {:.1f} % of it\n{:<28}{:>10}{:>12}{:>14}{:>14}\n", 1e3 * roofline,
             100 * roofline / run.seconds, "kernel", "ms", "of the step", "roofline ms", "reached");
  for (const auto& [name, cost] : rows)
    fmt::print("{:<28}{:>10.1f}{:>10.1f} %{:>14.1f}{:>12.0f} %\n", name, 1e3 * cost.seconds, 100 * cost.seconds / run.seconds,
               1e3 * cost.roofline(machine, dtype), 100 * cost.roofline(machine, dtype) / cost.seconds);
}

}  // namespace expunge::bench
