// Steps and evaluations on one GPU, ours and a peer's one after the other: a GPU has no room for both at once.
#include "bench/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>

#include "bench/contestant.h"
#include "expunge/error.h"
#include "plan/cost.h"

namespace expunge::bench {
namespace {

using Json = nlohmann::json;

// Yi-6B, TinyLlama 1.1B, and one that a CPU does.
constexpr GpuShape kShapes[] = {{"yi-6b", 4096, 32, 32, 4, 11008, 64000, 4096, 16},
                                {"1b", 2048, 22, 32, 4, 5632, 32000, 4096, 32},
                                {"tiny", 64, 2, 4, 2, 176, 512, 128, 8}};

constexpr int kGpuRounds = 2;
constexpr double kGpuLimitS = 100;  // of a contestant's runs
// First runs choose algorithms and compile, and of two runs the median would be the slower one: they never count.
constexpr double kNeverLong = std::numeric_limits<double>::infinity();

/// Dense bfloat16 of the vendor's data sheets, FLOP/s, by major compute capability: A100, H100 and H200, B200.
const std::map<int, double> kVendorPeak{{8, 312e12}, {9, 989e12}, {10, 2250e12}};

struct GpuSection {
  std::string task, title;
  std::vector<int> lengths;
};

/// The standard normal distribution's value below which a share of it lies.
double normal_quantile(double share) {
  double low = -8, high = 8;
  for (int halving = 0; halving < 60; ++halving) {
    const double middle = (low + high) / 2;
    (std::erfc(-middle / std::sqrt(2.)) / 2 < share ? low : high) = middle;
  }
  return low;
}

/// Texts like a code host's: log-normal lengths, with a median of 700 and a tail that is cut at 4096 tokens. Quantiles and not
/// draws, so that a few texts have that median and that tail; out of order, so that both roles have long ones and short ones.
std::vector<int> mixed_lengths(const GpuShape& shape) {
  constexpr int kTexts = 24, kApart = 7;
  std::vector<int> lengths;
  for (int i = 0; i < kTexts; ++i) {
    const double share = (i * kApart % kTexts + 0.5) / kTexts;
    const double tokens = 700.0 / 4096 * shape.length * std::exp(normal_quantile(share));
    lengths.push_back(std::clamp(static_cast<int>(tokens), 5, shape.length));
  }
  return lengths;
}

GpuSection section_of(const std::string& name, const GpuShape& shape) {
  const auto whole = [&](int sequences) { return std::vector<int>(static_cast<std::size_t>(sequences), shape.length); };
  const std::string full = fmt::format("{} x {} tokens", shape.sequences, shape.length);
  if (name == "step" || name == "compiled") return {"train", "training step, " + full, whole(shape.sequences)};
  if (name == "kl") return {"kl", "step of ascent_plus_kl_divergence, " + full, whole(shape.sequences)};
  if (name == "evaluate")
    return {"evaluate", fmt::format("evaluation, {} x {} tokens", 2 * shape.sequences, shape.length),
            whole(2 * shape.sequences)};
  if (name == "mix") {
    const std::vector<int> lengths = mixed_lengths(shape);
    std::vector<int> sorted = lengths;
    std::ranges::sort(sorted);
    int sum = 0;
    for (const int length : lengths) sum += length;
    return {"unlearn",
            fmt::format("step of ascent_plus_descent, {} texts, median {}, longest {}, {} tokens", lengths.size(),
                        sorted[sorted.size() / 2], sorted.back(), sum),
            lengths};
  }
  fail(ExitCode::usage, fmt::format("{}: no section of the GPU's benchmark", name));
}

LlamaConfig config_of(const GpuShape& shape) {
  LlamaConfig config;
  config.hidden_size = shape.dim;
  config.intermediate_size = shape.mlp;
  config.num_hidden_layers = shape.layers;
  config.num_attention_heads = shape.heads;
  config.num_key_value_heads = shape.kv_heads;
  config.head_dim = shape.dim / shape.heads;
  config.vocab_size = shape.vocabulary;
  return config;
}

/// Operations that the section's work needs, causal count, whoever does it: retain texts of the KL step pass through the reference
/// model too.
double flops_of(const GpuSection& section, const GpuShape& shape) {
  const LlamaConfig config = config_of(shape);
  const bool evaluates = section.task == "evaluate";
  double flops = 0;
  for (std::size_t i = 0; i < section.lengths.size(); ++i) {
    const TokenFlops token = token_flops(config, section.lengths[i]);
    const bool reference = section.task == "kl" && i >= section.lengths.size() / 2;
    flops += section.lengths[i] * (evaluates ? token.forward : token.training() + (reference ? token.forward : 0));
  }
  return flops;
}

Json work_of(const GpuSection& section, const GpuShape& shape, const std::string& device) {
  return {{"task", section.task},
          {"device", device},
          {"dtype", "bfloat16"},
          {"dim", shape.dim},
          {"layers", shape.layers},
          {"heads", shape.heads},
          {"kv_heads", shape.kv_heads},
          {"mlp", shape.mlp},
          {"vocabulary", shape.vocabulary},
          {"lengths", section.lengths},
          {"micro_batch_tokens", shape.micro_batch_tokens()},
          {"padded_length", shape.length},
          {"gather", "auto"}};
}

std::string rate_text(double flops_per_second) {
  return flops_per_second < 1e12 ? fmt::format("{:.1f} GFLOP/s", 1e-9 * flops_per_second)
                                 : fmt::format("{:.1f} TFLOP/s", 1e-12 * flops_per_second);
}

/// Runs one contestant and prints its line; what it was not able to do is a line too. Returns the seconds of a run, 0 for none.
double measure(const std::string& name, std::vector<std::string> command, const Json& work, double flops, double tokens,
               double ours) {
  double seconds = 0;
  try {
    std::vector<Contestant> alone;
    alone.push_back({name, std::move(command), work});
    const Result result = compete(std::move(alone), kGpuRounds, kGpuLimitS, kNeverLong).front();
    const Json& answer = result.median().answer;
    seconds = result.seconds();
    std::string line =
        fmt::format("{:<42}{:>9.3f} s{:>9.0f} tokens/s{:>15}", name, seconds, tokens / seconds, rate_text(flops / seconds));
    if (const auto peak = kVendorPeak.find(answer.value("capability", 0)); peak != kVendorPeak.end())
      line += fmt::format("{:>6.1f} % MFU", 100 * flops / seconds / peak->second);
    line += fmt::format("{:>7.1f} GB", 1e-9 * answer.at("peak_bytes").get<double>());
    if (answer.contains("planned_bytes"))
      line += fmt::format(" ({:.1f} planned; {})", 1e-9 * answer.at("planned_bytes").get<double>(),
                          answer.at("policies").get<std::string>());
    if (answer.contains("note")) line += fmt::format(" ({})", answer.at("note").get<std::string>());
    if (ours > 0) line += fmt::format("  {:.2f} x ours", seconds / ours);
    fmt::print("{}\n", line);
  } catch (const Error& error) {
    fmt::print("{:<42} failed: {}\n", name, error.what());
  }
  std::fflush(stdout);
  return seconds;
}

/// False where ours failed; a peer that cannot do the work is a line and no failure.
bool bench_section(const std::string& name, const GpuShape& shape, const std::string& device, const std::string& self,
                   const std::vector<std::string>& peer) {
  const GpuSection section = section_of(name, shape);
  const double flops = flops_of(section, shape), tokens = std::accumulate(section.lengths.begin(), section.lengths.end(), 0);
  Json work = work_of(section, shape, device);
  fmt::print("\n== {}: {}, {:.2f} GFLOP a token\n", shape.name, section.title, 1e-9 * flops / tokens);
  std::fflush(stdout);
  const double ours = name == "compiled" ? 0 : measure("expunge", {self, "work"}, work, flops, tokens, 0);
  if (peer.empty()) {
    fmt::print("{:<42} not installed\n", "PyTorch and transformers");
    return ours > 0;
  }
  work["compile"] = name == "compiled";
  measure(name == "compiled" ? "PyTorch and transformers, compiled" : "PyTorch and transformers", peer, work, flops, tokens,
          ours);
  if (section.task != "unlearn") return ours > 0 || name == "compiled";
  work["pad_to_longest"] = true;
  measure("the same, padded to a batch's longest", peer, work, flops, tokens, ours);
  return ours > 0;
}

/// Attention by the peer's kernels, to be held against ours.
void bench_peer_attention(const GpuShape& shape, const std::string& device, const std::vector<std::string>& peer) {
  std::vector<Contestant> alone;
  alone.emplace_back("SDPA", peer, work_of({"attention", "", {shape.length, shape.length}}, shape, device));
  const Result result = compete(std::move(alone), 1, kGpuLimitS, kNeverLong).front();
  const double product = 2.0 * shape.length * (shape.length + 1.0) * shape.dim;
  using Row = std::tuple<std::string, double, double>;
  for (const auto& [name, forward, backward] : result.median().answer.at("rows").get<std::vector<Row>>())
    fmt::print("{:<34}{:>10.3f}{:>8.1f} TFLOP/s forward{:>10.3f}{:>8.1f} TFLOP/s backward\n", name, 1e3 * forward,
               2e-12 * product / forward, 1e3 * backward, 5e-12 * product / backward);
}

}  // namespace

int bench_gpu(const std::string& self, std::span<const std::string> arguments) {
  if (arguments.size() != 3 && arguments.size() != 5)
    fail(ExitCode::usage, "usage: expunge_bench gpu SECTION MODEL DEVICE [PYTHON PEER]");
  const auto shape = std::ranges::find_if(kShapes, [&](const GpuShape& s) { return arguments[1] == s.name; });
  if (shape == std::end(kShapes)) fail(ExitCode::usage, fmt::format("{}: use yi-6b, 1b or tiny", arguments[1]));
  const std::vector<std::string> peer(arguments.begin() + 3, arguments.end());
  const bool on_gpu = arguments[2] == "cuda";
  if (arguments[0] != "kernels") {
    return bench_section(arguments[0], *shape, arguments[2], self, peer) ? 0 : static_cast<int>(ExitCode::internal);
  }
  bench_kernels(*shape, {on_gpu ? DeviceType::cuda : DeviceType::cpu, 0});
  if (on_gpu && !peer.empty()) bench_peer_attention(*shape, arguments[2], peer);
  return 0;
}

}  // namespace expunge::bench
