// The benchmark: `make bench` runs every section, `make bench ONLY="step-288 tiny"` those whose names begin so.
#include <fmt/format.h>
#include <omp.h>

#include <boost/program_options.hpp>
#include <cstdlib>
#include <functional>
#include <iostream>

#include "bench/gpu.h"
#include "bench/sections.h"
#include "bench/tables.h"
#include "bench/worker.h"
#include "expunge/error.h"
#include "report/subprocess.h"

namespace expunge::bench {
namespace {

struct Section {
  std::string name;
  std::function<void(const Bench&)> run;
};

std::vector<Section> sections() {
  std::vector<Section> all;
  for (const Size& size : kSizes)
    for (const char* dtype : {"float32", "bfloat16"})
      for (const bool long_sequence : {false, true})
        all.push_back({fmt::format("step-{}-{}{}", size.dim, dtype, long_sequence ? "-long" : ""),
                       [=](const Bench& bench) { bench_step(bench, size, dtype, long_sequence); }});
  all.push_back({"tiny", bench_tiny});
  for (const char* dtype : {"float32", "bfloat16"}) {
    all.push_back({fmt::format("unlearn-{}", dtype), [=](const Bench& bench) { bench_unlearning(bench, dtype); }});
    all.push_back({fmt::format("evaluate-{}", dtype), [=](const Bench& bench) { bench_evaluation(bench, dtype); }});
  }
  all.insert(all.end(), {{"ranks", bench_ranks}, {"lengths", bench_lengths}, {"tokenize", bench_tokenizing}});
  return all;
}

/// The Python of the environment variable PYTHON or on PATH, if it has the peer.
std::optional<std::string> find_peer() {
  const char* set = std::getenv("PYTHON");
  const std::string python = set ? set : "python3";
  const auto version = run_program({python, EXPUNGE_PEER, R"({"task": "version"})"}, "");
  if (!version || version->status != 0) {
    fmt::print("peer: not installed (set PYTHON to a Python with torch and transformers)\n");
    return std::nullopt;
  }
  fmt::print("peer: {}", version->output);
  fmt::print("peer, tuned: fused AdamW, {}\n", fmt::join(tuned_environment(), " "));
  return python;
}

int compare(const std::vector<std::string>& only, Bench bench) {
  bench.machine = measure_machine();
  fmt::print("{} threads\n", omp_get_max_threads());
  print_machine(bench.machine);
  bench.peer = find_peer();
  for (const Section& section : sections()) {
    const bool wanted =
        only.empty() || std::ranges::any_of(only, [&](const auto& prefix) { return section.name.starts_with(prefix); });
    if (wanted) section.run(bench);
    std::fflush(stdout);
  }
  return 0;
}

int run(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "work") return serve(nlohmann::json::parse(argv[2]));
  if (argc > 1 && std::string_view(argv[1]) == "gpu")
    return bench_gpu(argv[0], std::vector<std::string>(argv + 2, argv + argc));
  namespace po = boost::program_options;
  Bench bench;
  bench.self = argv[0];  // in a bundle, /proc/self/exe is the loader
  std::vector<std::string> only;
  po::options_description options("Options");
  options.add_options()("only", po::value(&only)->multitoken(), "sections whose names begin so (all)")(
      "rounds", po::value(&bench.rounds), "turns of each contestant (5)")(
      "limit", po::value(&bench.limit_s), "seconds after which a contestant takes no further turn (600)")(
      "compile", po::bool_switch(&bench.compile), "torch.compile as a further contestant")("list", "names of the sections")(
      "help", "");
  po::variables_map given;
  po::store(po::parse_command_line(argc, argv, options), given);
  po::notify(given);
  if (given.contains("help")) return std::cout << options, 0;
  if (!given.contains("list")) return compare(only, bench);
  for (const Section& section : sections()) fmt::print("{}\n", section.name);
  return 0;
}

}  // namespace
}  // namespace expunge::bench

int main(int argc, char** argv) {
  try {
    return expunge::bench::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
