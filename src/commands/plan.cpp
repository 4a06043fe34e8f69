// `expunge plan`: what a run would take of memory, network and time, before anything is started.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "cli/config_text.h"
#include "commands/run.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "core/text.h"
#include "expunge/error.h"
#include "expunge/objective.h"
#include "inference/frozen_model.h"
#include "io/files.h"
#include "io/hdf5_seal.h"
#include "plan/cost.h"
#include "plan/options.h"
#include "plan/script.h"
#include "run/output.h"
#include "run/run_folder.h"
#include "store/checkpoint.h"
#include "training/run_length.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr double kGiga = 1e9, kTera = 1e12, kGbps = kGiga / 8;
constexpr int kLargestWorld = 1024;

// Rates where none is given. GPU: what well-tuned programs reach in bf16 on an H100, its memory, NVLink. CPU: a few cores.
constexpr double kGpuTflops = 400, kGpuTflopsFp32 = 40, kCpuTflops = 0.1;
constexpr double kGpuMemoryBandwidth = 3000, kCpuMemoryBandwidth = 20;  // GB/s
constexpr double kGpuNodeGbps = 2400, kCpuNodeGbps = 20;

/// The share of sequences that pass through the frozen model.
double frozen_share(const MethodOptions& method, double positive_ratio) {
  double frozen = 0, all = 0;
  for (const Term& term : make_objective(method)->terms()) {
    const double sequences = term.role == Role::forget ? 1 : positive_ratio;
    all += sequences;
    if (term.signal.uses_reference()) frozen += sequences;
  }
  return frozen / all;
}

/// Micro-batches of a run, as its options cut them.
struct BatchOptions {
  std::int64_t length, packed, batch, global_batch;

  int tokens() const { return largest_micro_batch(length, packed, batch, global_batch); }
  /// Sequences in a micro-batch.
  int sequences() const {
    const std::int64_t together = packed > 0 ? std::max<std::int64_t>(1, packed / length) : batch;
    return static_cast<int>(std::min(together, global_batch));
  }
};

/// The options that a run folder's `config` holds.
class RunOptions {
 public:
  explicit RunOptions(const RunFolder& run) : file_(run.config()) {
    for (const ConfigEntry& entry : read_config_text(run.read_config(), file_.string())) values_[entry.key] = entry.value;
  }
  std::string text(const std::string& key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? "" : found->second;
  }
  /// `least` where the key is not there. Throws Error(bad_input) for what no run has.
  std::int64_t whole(const std::string& key, std::int64_t least) const {
    constexpr std::int64_t kMost = 1'000'000'000;
    const std::string given = text(key);
    if (given.empty()) return least;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size() || value < least || value > kMost)
      fail(ExitCode::bad_input, fmt::format("{}: {} = {}: expected a whole number from {} to {}; was the file edited?",
                                            file_.string(), key, excerpt(given), least, kMost));
    return value;
  }

 private:
  fs::path file_;
  std::map<std::string, std::string> values_;
};

/// A run whose steps were timed, as the plan sees it.
struct TimedRun {
  RunShape shape;
  Policies policies;
  StepShape step;
  double seconds;  ///< median of its steps but the first
};

/// The median of the steps' seconds, the first of them left out.
double median_seconds(const fs::path& folder, const std::vector<double>& speeds, const std::vector<std::int64_t>& tokens) {
  if (speeds.size() < 2 || tokens.size() != speeds.size())
    fail(ExitCode::bad_input,
         fmt::format("--measured-run {}: needs at least two steps, of which the first does not count", folder.string()));
  std::vector<double> seconds;
  for (std::size_t i = 1; i < speeds.size(); ++i) {
    seconds.push_back(static_cast<double>(tokens[i]) / speeds[i]);
    if (!(seconds.back() > 0) || !std::isfinite(seconds.back()))
      fail(ExitCode::bad_input, fmt::format("--measured-run {}: metrics.h5: row {}: {} tokens at {} tokens/s take no time that "
                                            "could be measured; take another run",
                                            folder.string(), i, tokens[i], speeds[i]));
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::ranges::nth_element(seconds, middle);
  return *middle;
}

/// What the run's checkpoint says of its ranks and steps, where that can be.
CheckpointInfo read_timed_checkpoint(const fs::path& checkpoint) {
  CheckpointInfo info = CheckpointReader(checkpoint).info();
  if (info.world_size < 1 || info.world_size > PlanConfig::kMostRanks || info.global_batch < 1 ||
      info.global_batch > kLargestGlobalBatch)
    fail(ExitCode::bad_input,
         fmt::format("{}: {} ranks and {} sequences a step: expected 1 to {} and 1 to {}; take another run",
                     checkpoint.string(), info.world_size, info.global_batch, PlanConfig::kMostRanks, kLargestGlobalBatch));
  return info;
}

TimedRun read_timed_run(const fs::path& folder) {
  const RunFolder run{folder};
  const auto checkpoints = list_checkpoints(run.checkpoints());
  if (!fs::exists(run.metrics()) || checkpoints.empty())
    fail(ExitCode::bad_input,
         fmt::format("--measured-run {}: not a run folder with metrics.h5 and a checkpoint", folder.string()));
  const Hdf5File metrics = open_sealed(run.metrics());
  const auto tokens = metrics.read_all<std::int64_t>("/train/tokens");
  const double seconds = median_seconds(folder, metrics.read_all<double>("/train/tokens_per_second"), tokens);

  const RunOptions options(run);
  const CheckpointInfo info = read_timed_checkpoint(checkpoints.front());
  MethodOptions method;
  method.method = options.text("method");
  method.retain_kl = options.text("retain-loss") == "kl";
  method.alpha = parse_real(options.text("alpha"));
  const auto ratio = static_cast<double>(options.whole("positive-ratio", 1));
  const double frozen = method.method.empty() ? 0 : frozen_share(method, ratio);
  const BatchOptions batch{std::max<std::int64_t>(1, tokens.back() / info.global_batch), options.whole("micro-batch-tokens", 0),
                           options.whole("per-device-train-batch-size", 1), info.global_batch};
  const RunShape shape{read_llama_config(run.model() / "config.json"),
                       static_cast<int>(info.world_size),
                       batch.tokens(),
                       parse_dtype(info.dtype),
                       frozen > 0,
                       options.text("reduce-dtype") == "bf16",
                       false,
                       info.device == "cuda" ? DeviceType::cuda : DeviceType::cpu};
  const bool per_step = info.gather == gather_name(GatherPolicy::per_step);
  const auto recompute = info.recompute == recompute_name(Recompute::block)   ? RecomputePolicy::block
                         : info.recompute == recompute_name(Recompute::light) ? RecomputePolicy::light
                                                                              : RecomputePolicy::none;
  const Policies policies =
      choose_policies(shape, per_step ? GatherPolicy::per_step : GatherPolicy::per_micro_step, recompute, 0);
  return {shape,
          policies,
          {static_cast<double>(info.global_batch), static_cast<int>(batch.length), batch.sequences(), frozen,
           options.text("prefetch") != "off"},
          seconds};
}

/// The rate at which the plan gives the time that the steps of an earlier run took.
double measured_flops(const fs::path& folder, Rates rates) {
  const TimedRun run = read_timed_run(folder);
  double low = 1e6, high = 1e18;
  for (int halving = 0; halving < 100; ++halving) {
    rates.flops = std::sqrt(low * high);
    const bool too_slow = step_cost(run.shape, run.policies, run.step, rates).seconds() > run.seconds;
    (too_slow ? low : high) = rates.flops;
  }
  if (rates.flops < 0.9e18) return rates.flops;
  // Memory and network as they are assumed take longer alone: then all of the time is put down to computing.
  return step_cost(run.shape, run.policies, run.step, rates).hardware_flops / run.seconds;
}

/// Everything that is asked, as values.
struct Question {
  RunShape shape;
  StepShape step;
  Rates rates;
  std::string rate_source;
  std::size_t memory;
};

/// Given, measured or assumed, and which of these the rate of computing is.
std::pair<Rates, std::string> rates_of(const PlanConfig& config, bool gpu) {
  Rates rates{0,
              config.memory_bandwidth.value_or(gpu ? kGpuMemoryBandwidth : kCpuMemoryBandwidth) * kGiga,
              static_cast<int>(config.gpus_per_node),
              config.node_gbps.value_or(gpu ? kGpuNodeGbps : kCpuNodeGbps) * kGbps,
              config.network_gbps * kGbps,
              config.network_latency_us * 1e-6};
  if (!config.measured_run.empty()) {
    rates.flops = measured_flops(config.measured_run, rates);
    return {rates, fmt::format("measured in {}", config.measured_run.string())};
  }
  const bool bf16 = config.compute.dtype == DType::bfloat16;
  rates.flops = config.tflops.value_or(!gpu ? kCpuTflops : bf16 ? kGpuTflops : kGpuTflopsFp32) * kTera;
  return {rates, config.tflops ? "given" : "assumed; --tflops or --measured-run"};
}

std::int64_t accumulation(const PlanConfig& config) { return std::max<std::int64_t>(1, config.gradient_accumulation_steps); }

Question ask(const PlanConfig& config) {
  const DeviceType device = config.compute.device == "cpu" ? DeviceType::cpu : DeviceType::cuda;
  const bool gpu = device == DeviceType::cuda;
  const LlamaConfig model = read_llama_config(config.model / "config.json");
  MethodOptions method;
  method.method = config.method;
  method.retain_kl = config.retain_kl;
  method.alpha = config.alpha;
  const double frozen = frozen_share(method, static_cast<double>(config.positive_ratio));
  const auto world = static_cast<int>(config.world);
  const std::int64_t of_step = config.global_batch_size > 0
                                   ? config.global_batch_size
                                   : checked_sequences_of_step(world, config.per_device_train_batch_size, accumulation(config));
  const BatchOptions batch{config.max_length, config.compute.micro_batch_tokens, config.per_device_train_batch_size, of_step};
  const auto [rates, source] = rates_of(config, gpu);
  return {{model, world, batch.tokens(), config.compute.dtype, frozen > 0, config.compute.reduce_in_bf16, config.save_steps > 0,
           device},
          {static_cast<double>(batch.global_batch), static_cast<int>(batch.length), batch.sequences(), frozen,
           config.compute.prefetch},
          rates,
          source,
          static_cast<std::size_t>(gpu ? config.gpu_memory : config.memory_per_rank)};
}

int nodes_of(int world_size, const Rates& rates) { return (world_size + rates.ranks_per_node - 1) / rates.ranks_per_node; }

std::string bytes(double n) { return format_bytes(n); }

void print_memory(const Question& question, const Policies& policies) {
  print_result("\nMemory of a rank, with gather {} and recompute {}\n", gather_name(policies.gather),
               recompute_name(policies.recompute));
  for (const auto& [name, size] : policies.memory.parts())
    if (size > 0) print_result("  {:<42}{:>12}\n", name, bytes(static_cast<double>(size)));
  print_result("  {:<42}{:>12} of {}\n", "together", bytes(static_cast<double>(policies.memory.total())),
               bytes(static_cast<double>(question.memory)));
}

void print_step(const Question& question, const Policies& policies, const StepCost& cost) {
  const StepShape& step = question.step;
  print_result("\nAn optimizer step: {:.0f} sequences of {} tokens, {} micro-batch{} a rank\n", step.sequences,
               step.sequence_length, cost.micro_batches, cost.micro_batches == 1 ? "" : "es");
  print_result("  operations of a rank                      {:.4g} TFLOP ({:.4g} GFLOP a token", cost.model_flops / kTera,
               token_flops(question.shape.model, step.sequence_length).training() / kGiga);
  if (question.shape.frozen_model) print_result(", and {:.0f} % through the frozen model", 100 * step.frozen_share);
  if (cost.hardware_flops > cost.model_flops) print_result("; {:.4g} TFLOP with recomputation", cost.hardware_flops / kTera);
  print_result(")\n");
  for (const GatherPolicy gather : {GatherPolicy::per_step, GatherPolicy::per_micro_step}) {
    Policies other = policies;
    other.gather = gather;
    const StepCost moved = step_cost(question.shape, other, step, question.rates);
    print_result("  a rank receives, gather {:<18}{} of weights, {} of gradients{}\n", gather_name(gather),
                 bytes(moved.gathered), bytes(moved.reduced), gather == policies.gather ? " (chosen)" : "");
  }
  print_result(
      "  time                                      {:.4g} s = {:.4g} computing + {:.4g} waiting for the network + {:.4g} "
      "AdamW; {:.0f} tokens/s\n",
      cost.seconds(), cost.compute, cost.exposed, cost.optimizer, cost.tokens / cost.seconds());
}

void print_rates(const Question& question) {
  const Rates& r = question.rates;
  print_result(
      "\nRates: {:.4g} TFLOP/s a rank ({}), memory {:.4g} GB/s; a rank receives {:.4g} Gbit/s within a node of {} ranks and "
      "{:.4g} Gbit/s between nodes, {:.3g} us a message\n",
      r.flops / kTera, question.rate_source, r.memory_bandwidth / kGiga, r.node_bandwidth / kGbps, r.ranks_per_node,
      r.network_bandwidth / kGbps, r.network_latency * 1e6);
}

/// The same run on 1, 2, 4, ... ranks.
void print_worlds(const PlanConfig& config, Question question) {
  print_result("\n{:>6}{:>7}{:>14} {:<16}{:<11}{:>14}{:>10}{:>12}{:>12}\n", "ranks", "nodes", "memory a rank", " gather",
               "recompute", "received", "s a step", "tokens/s", "computing");
  for (int world = 1; world <= kLargestWorld; world *= 2) {
    question.shape.world_size = world;
    const auto sequences = config.global_batch_size > 0
                               ? config.global_batch_size
                               : sequences_of_step(world, config.per_device_train_batch_size, accumulation(config));
    if (!sequences) {
      print_result("{:>6}{:>7} more than {} sequences a step\n", world, nodes_of(world, question.rates), kLargestGlobalBatch);
      break;
    }
    question.step.sequences = static_cast<double>(*sequences);
    const Policies policies = choose_policies(question.shape, config.compute.gather, config.compute.recompute, question.memory);
    print_result("{:>6}{:>7}{:>14} ", world, nodes_of(world, question.rates),
                 bytes(static_cast<double>(policies.memory.total())));
    if (!policies.fits) {
      print_result(" does not fit\n");
      continue;
    }
    const StepCost cost = step_cost(question.shape, policies, question.step, question.rates);
    print_result(" {:<15}{:<11}{:>14}{:>10.4g}{:>12.0f}{:>10.1f} %\n", gather_name(policies.gather),
                 recompute_name(policies.recompute), bytes(cost.gathered + cost.reduced), cost.seconds(),
                 cost.tokens / cost.seconds(), 100 * cost.compute / cost.seconds());
  }
}

void write_script(const PlanConfig& config, const Question& question, const Policies& policies, double seconds) {
  check_output(config.sbatch, config.overwrite);
  write_file_atomically(config.sbatch, batch_script(config, question.shape, policies, seconds), existing_of(config.overwrite));
  print_result("\nwritten: {}\n", config.sbatch.string());
}

}  // namespace

void run_plan(const PlanConfig& config) {
  const Question question = ask(config);
  const RunShape& shape = question.shape;
  const int nodes = nodes_of(shape.world_size, question.rates);
  print_result("{}: {:.2f} M parameters, {}, {} | {} {} rank{} on {} node{}\n", config.model.string(),
               static_cast<double>(shape.model.parameter_count()) / 1e6, dtype_name(shape.dtype), config.method,
               shape.world_size, config.compute.device, shape.world_size == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s");
  const Policies policies = choose_policies(shape, config.compute.gather, config.compute.recompute, question.memory);
  const StepCost cost = step_cost(shape, policies, question.step, question.rates);
  print_memory(question, policies);
  print_step(question, policies, cost);
  print_rates(question);
  print_worlds(config, question);
  if (!policies.fits) fail(ExitCode::usage, describe_misfit(shape, policies, question.memory));
  if (!config.sbatch.empty()) write_script(config, question, policies, cost.seconds() * static_cast<double>(config.max_steps));
}

}  // namespace expunge
