// Comparisons of steps and evaluations between processes that take turns.
#include "bench/sections.h"

#include <fmt/format.h>
#include <omp.h>

#include <cmath>
#include <filesystem>

#include "bench/tables.h"
#include "expunge/error.h"

namespace expunge::bench {
namespace {

using Json = nlohmann::json;

Json work_of(const Size& size, const std::string& task, const std::string& dtype, const std::vector<int>& lengths) {
  return {{"task", task},
          {"dtype", dtype},
          {"dim", size.dim},
          {"layers", size.layers},
          {"heads", size.heads},
          {"mlp", size.mlp},
          {"lengths", lengths},
          {"micro_batch_tokens", 2048},
          {"gather", "per-step"},
          {"padded_length", 4096},
          {"batch", std::max(1, 2048 / lengths[0])}};
}

Contestant ours(const Bench& bench, const std::string& name, const Json& work) { return {name, {bench.self, "work"}, work}; }

/// Ours and, where there is one, the peer as installed and tuned; it may be asked for another dtype.
std::vector<Contestant> contestants(const Bench& bench, Json work, const std::vector<std::string>& peer_dtypes) {
  std::vector<Contestant> all;
  all.push_back(ours(bench, fmt::format("expunge {}", work["dtype"].get<std::string>()), work));
  if (!bench.peer) return all;
  for (const std::string& dtype : peer_dtypes) {
    work["dtype"] = dtype;
    work["tuned"] = false;
    if (dtype == peer_dtypes.front())
      all.push_back({fmt::format("PyTorch {}, as installed", dtype), {*bench.peer, EXPUNGE_PEER}, work});
    work["tuned"] = true;
    std::vector<std::string> command = tuned_environment();
    command.insert(command.end(), {*bench.peer, EXPUNGE_PEER});
    all.push_back({fmt::format("PyTorch {}, tuned", dtype), command, work});
    if (!bench.compile) continue;
    work["compile"] = true;
    all.push_back({fmt::format("PyTorch {}, tuned and compiled", dtype), command, work});
  }
  return all;
}

double total(const std::vector<int>& lengths) {
  double sum = 0;
  for (const int length : lengths) sum += length;
  return sum;
}

}  // namespace

std::vector<std::string> tuned_environment() {
  std::vector<std::string> command = {"env", fmt::format("OMP_NUM_THREADS={}", omp_get_max_threads())};
  // Faster than what PyTorch's tuning guide advises: threads stay unbound (bound ones lost 10 %), jemalloc gives nothing back
  // and uses huge pages (1.4 x against "as installed"). Without jemalloc, glibc keeps what is freed.
  const std::string jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
  if (std::filesystem::exists(jemalloc))
    command.insert(command.end(),
                   {"LD_PRELOAD=" + jemalloc, "MALLOC_CONF=metadata_thp:auto,thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1"});
  else
    command.push_back(
        "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296:"
        "glibc.malloc.hugetlb=1");
  return command;
}

void bench_step(const Bench& bench, const Size& size, const std::string& dtype, bool one_sequence) {
  const int length = one_sequence ? 2048 : size.dim < 512 ? 256 : 512;
  const std::vector<int> lengths(static_cast<std::size_t>(2048 / length), length);
  fmt::print("\n== training step, dim {}, {} layers, {} x {} tokens, {}\n", size.dim, size.layers, lengths.size(), length,
             dtype);
  // A bf16 step is held against the peer's fp32 step too.
  const std::vector<std::string> peers =
      dtype == "float32" ? std::vector<std::string>{dtype} : std::vector{dtype, std::string("float32")};
  const std::vector<Result> results =
      compete(contestants(bench, work_of(size, "train", dtype, lengths), peers), bench.rounds, bench.limit_s);
  print_contest(bench.machine, results, total(lengths));
  print_kernels(bench.machine, dtype, results.front());
}

void bench_unlearning(const Bench& bench, const std::string& dtype) {
  // The middles of four equal parts of a log-normal distribution with a median of 700, cut at 4096: two to forget, two to
  // retain.
  std::vector<int> lengths;
  for (const double z : {-1.150, 0.319, -0.319, 1.150}) lengths.push_back(std::min(4096, static_cast<int>(700 * std::exp(z))));
  fmt::print("\n== unlearning step (ascent_plus_descent), dim 288, 4 texts of median length 700, {}\n", dtype);
  Json work = work_of(kSizes[0], "unlearn", dtype, lengths);
  work["micro_batch_tokens"] = 4096;
  print_contest(bench.machine, compete(contestants(bench, work, {dtype}), bench.rounds, bench.limit_s), total(lengths));
}

void bench_evaluation(const Bench& bench, const std::string& dtype) {
  const std::vector<int> lengths(32, 512);
  fmt::print("\n== evaluation, dim 288, {} texts of 512 tokens, {}\n", lengths.size(), dtype);
  const std::vector<Result> results =
      compete(contestants(bench, work_of(kSizes[0], "evaluate", dtype, lengths), {dtype}), bench.rounds, bench.limit_s);
  print_contest(bench.machine, results, total(lengths));
  print_kernels(bench.machine, dtype, results.front());
}

void bench_ranks(const Bench& bench) {
  const std::vector<int> lengths(8, 256);
  fmt::print("\n== ranks, dim 288, {} x {} tokens a step in micro-batches of 512, float32\n", lengths.size(), lengths[0]);
  std::vector<Contestant> all;
  for (const char* gather : {"per-step", "per-micro-step"}) {
    Json work = work_of(kSizes[0], "train", "float32", lengths);
    work["gather"] = gather;
    work["micro_batch_tokens"] = 512;
    if (all.empty()) all.push_back({"1 rank x 2 threads", {"env", "OMP_NUM_THREADS=2", bench.self, "work"}, work});
    all.push_back({fmt::format("2 ranks x 1 thread, gather {}", gather),
                   {"mpirun", "-n", "2", "--bind-to", "none", "--oversubscribe", "-x", "OMP_NUM_THREADS=1", bench.self, "work"},
                   work});
  }
  const std::vector<Result> results = compete(std::move(all), bench.rounds, bench.limit_s);
  print_contest(bench.machine, results, total(lengths));
  for (const Result& result : results) {
    const double communication = result.median().answer.at("communication");
    fmt::print("{:<44}{:>8.1f} ms in collectives, {:.1f} % of the step, overlapped or not\n", result.name, 1e3 * communication,
               100 * communication / result.seconds());
  }
}

void bench_lengths(const Bench& bench) {
  fmt::print("\n== one sequence a step, dim 288, float32\n{:>8}{:>12}{:>14}{:>12}{:>12}{:>16}\n", "tokens", "step",
             "ms per token", "GFLOP/s", "peak", "KiB per token");
  double memory = 0;
  for (const int length : {256, 512, 1024, 2048, 4096, 8192}) {
    std::vector<Contestant> one;
    Json work = work_of(kSizes[0], "train", "float32", {length});
    work["micro_batch_tokens"] = length;
    one.push_back(ours(bench, "expunge", work));
    const Result result = compete(std::move(one), 3, bench.limit_s).front();
    const double more = result.peak_bytes() - memory;
    fmt::print("{:>8}{:>9.1f} ms{:>14.3f}{:>12.1f}{:>9.0f} MB{:>16}\n", length, 1e3 * result.seconds(),
               1e3 * result.seconds() / length, 1e-9 * costs_of(result.median()).flops / result.seconds(),
               1e-6 * result.peak_bytes(), memory > 0 ? fmt::format("{:.1f}", more / (length / 2) / 1024) : "");
    memory = result.peak_bytes();
  }
}

}  // namespace expunge::bench
