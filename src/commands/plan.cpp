// `expunge plan`: estimates the memory, network traffic and time of a run before it starts.
#include "commands/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "cli/values.h"
#include "commands/file_uses.h"
#include "commands/measured_run.h"
#include "commands/shared_options.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "core/text.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "expunge/objective.h"
#include "inference/scoring_model.h"
#include "io/files.h"
#include "io/hdf5_seal.h"
#include "plan/cost.h"
#include "plan/options.h"
#include "plan/script.h"
#include "run/compute_options.h"
#include "run/method_options.h"
#include "run/output.h"
#include "run/run_folder.h"
#include "store/checkpoint.h"
#include "training/run_length.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr double kGiga = 1e9, kTera = 1e12, kGbps = kGiga / 8;
constexpr int kLargestWorld = 1024;

// Default rates. GPU: well-tuned programs in bf16 on an H100, its memory, NVLink. CPU: a few cores.
constexpr double kGpuTflops = 400, kGpuTflopsFp32 = 40, kCpuTflops = 0.1;
constexpr double kGpuMemoryBandwidth = 3000, kCpuMemoryBandwidth = 20;  // GB/s
constexpr double kGpuNodeGbps = 2400, kCpuNodeGbps = 20;

/// The rate of computing at which the plan predicts the measured time of an earlier run's steps.
double measured_flops(const fs::path& folder, DeviceType device, Rates rates) {
  const TimedRun run = read_timed_run(folder);
  if (run.shape.device != device)
    fail(ExitCode::usage,
         fmt::format("--measured-run {}: its steps ran on {}, and the plan is for --device {}; take a run on {}",
                     folder.string(), device_name(run.shape.device), device_name(device), device_name(device)));
  double low = 1e6, high = 1e18;
  for (int halving = 0; halving < 100; ++halving) {
    rates.flops = std::sqrt(low * high);
    const bool too_slow = step_cost(run.shape, run.policies, run.step, rates).seconds() > run.seconds;
    if (too_slow)
      low = rates.flops;
    else
      high = rates.flops;
  }
  if (rates.flops < 0.9e18) return rates.flops;
  // The assumed memory and network alone take longer than measured: attribute all of the time to computing.
  return step_cost(run.shape, run.policies, run.step, rates).hardware_flops / run.seconds;
}

/// The question of a plan, as values.
struct Question {
  RunShape shape;
  StepShape step;
  Rates rates;
  std::string rate_source;
  std::size_t memory;
};

/// The rates of a plan, and the source of the rate of computing: given, measured or assumed.
std::pair<Rates, std::string> rates_of(const PlanConfig& config, bool gpu) {
  Rates rates{0,
              config.memory_bandwidth.value_or(gpu ? kGpuMemoryBandwidth : kCpuMemoryBandwidth) * kGiga,
              static_cast<int>(config.gpus_per_node),
              config.node_gbps.value_or(gpu ? kGpuNodeGbps : kCpuNodeGbps) * kGbps,
              config.network_gbps * kGbps,
              config.network_latency_us * 1e-6};
  if (!config.measured_run.empty()) {
    rates.flops = measured_flops(config.measured_run, gpu ? DeviceType::cuda : DeviceType::cpu, rates);
    return {rates, fmt::format("measured in {}", config.measured_run.string())};
  }
  const bool bf16 = config.compute.dtype == DType::bfloat16;
  const double assumed = bf16 ? kGpuTflops : kGpuTflopsFp32;
  rates.flops = config.tflops.value_or(gpu ? assumed : kCpuTflops) * kTera;
  return {rates, config.tflops ? "given" : "assumed; --tflops or --measured-run"};
}

std::int64_t accumulation(const PlanConfig& config) { return std::max<std::int64_t>(1, config.gradient_accumulation_steps); }

Question ask(const PlanConfig& config) {
  const DeviceType device = config.compute.device == "cpu" ? DeviceType::cpu : DeviceType::cuda;
  const bool gpu = device == DeviceType::cuda;
  const LlamaConfig model = read_llama_config(config.model / "config.json");
  const double reference = reference_share(config.method, static_cast<double>(config.positive_ratio));
  const auto world = static_cast<int>(config.world);
  const std::int64_t of_step = config.global_batch_size > 0
                                   ? config.global_batch_size
                                   : checked_sequences_of_step(world, config.per_device_train_batch_size, accumulation(config));
  const MicroBatch batch{
      config.max_length,
      {.per_device = config.per_device_train_batch_size, .global = of_step, .micro_batch_tokens = config.micro_batch_tokens}};
  const auto [rates, source] = rates_of(config, gpu);
  return {{model, world, batch.tokens(), config.compute.dtype, reference > 0, config.compute.reduce_in_bf16,
           config.save_steps > 0, device},
          {static_cast<double>(of_step), static_cast<int>(batch.length), batch.sequences(), reference, config.compute.prefetch},
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
  if (question.shape.reference_model) print_result(", and {:.0f} % through the reference model", 100 * step.reference_share);
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

/// Prints the same run on 1, 2, 4, ... ranks.
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

void run_plan(const PlanConfig& config) {
  const Question question = ask(config);
  const RunShape& shape = question.shape;
  const int nodes = nodes_of(shape.world_size, question.rates);
  print_result("{}: {:.2f} M parameters, {}, {} | {} on {}\n", config.model.string(),
               static_cast<double>(shape.model.parameter_count()) / 1e6, dtype_name(shape.dtype), config.method.name,
               counted(shape.world_size, config.compute.device + " rank"), counted(nodes, "node"));
  const Policies policies = choose_policies(shape, config.compute.gather, config.compute.recompute, question.memory);
  const StepCost cost = step_cost(shape, policies, question.step, question.rates);
  print_memory(question, policies);
  print_step(question, policies, cost);
  print_rates(question);
  print_worlds(config, question);
  if (!policies.fits) fail(ExitCode::usage, describe_misfit(shape, policies, question.memory));
  if (!config.sbatch.empty()) write_script(config, question, policies, cost.seconds() * static_cast<double>(config.max_steps));
}

std::vector<Option> run_options(PlanConfig& config) {
  Option method = method_option(config.method.name);
  method.required = false;
  method.help = "method of the run: some need a reference model beside the trained one";
  return {required(path("model", "DIR", FileUse::model, config.model,
                        "folder with the model's config.json; other files are not read")),
          std::move(method),
          whole("positive-ratio", config.positive_ratio, 1, "retain sequences after each forget sequence"),
          whole("max-length", config.max_length, 5, "tokens of a sequence"),
          whole("per-device-train-batch-size", config.per_device_train_batch_size, 1, "sequences in a rank's micro-batch"),
          whole("micro-batch-tokens", config.micro_batch_tokens, 0,
                "pack sequences into micro-batches of at most this many tokens; 0: count sequences instead"),
          whole("gradient-accumulation-steps", config.gradient_accumulation_steps, 0,
                "micro-batches of a rank in one optimizer step"),
          whole("global-batch-size", config.global_batch_size, 0,
                "sequences in one optimizer step; 0: ranks x per-device batch x accumulation"),
          whole("max-steps", config.max_steps, {1, kMostSteps}, "optimizer steps, for the time limit of --sbatch"),
          whole("save-steps", config.save_steps, 0,
                "steps between checkpoints, which need a copy of the shards on the CPU; 0: none"),
          config_option(),
          print_config_option()};
}

std::vector<Option> machine_options(PlanConfig& config) {
  return {
      required(whole("world", config.world, {1, PlanConfig::kMostRanks}, "ranks, each with a GPU of its own (--device cuda)")),
      memory_size("gpu-memory", config.gpu_memory, "memory of a GPU: 80GB, 141GB; a bare number is in GB"),
      memory_size("memory-per-rank", config.memory_per_rank, "with --device cpu: memory of a rank"),
      whole("gpus-per-node", config.gpus_per_node, 1, "ranks per node"),
      real("tflops", config.tflops, kRate,
           "TFLOP/s that a rank achieves; without it, 400 for bfloat16 on a GPU, 40 for float32, 0.1 on the CPU"),
      path("measured-run", "RUN", FileUse::run, config.measured_run, "compute that rate from the steps of this run folder"),
      real("memory-bandwidth", config.memory_bandwidth, kRate,
           "GB/s of a rank's memory; without it, 3000 on a GPU, 20 on the CPU"),
      real("node-gbps", config.node_gbps, kRate,
           "Gbit/s that a rank receives from others of its node; without it, 2400 on a GPU (NVLink), 20 on the CPU"),
      real("network-gbps", config.network_gbps, kRate, "Gbit/s that a rank receives from other nodes"),
      real("network-latency-us", config.network_latency_us, kTime, "microseconds of a message between nodes")};
}

void check_plan(PlanConfig& config, const OptionTable& given) {
  refuse_idle_options(config.method, given);
  check_compute(config.compute, given);
  const bool cpu = config.compute.device == "cpu";
  if (config.compute.dtype_by_device && has_bf16_products(cpu ? DeviceType::cpu : DeviceType::cuda))
    config.compute.dtype = DType::bfloat16;
  config.compute.dtype_by_device = false;
  const char* const needed = cpu ? "memory-per-rank" : "gpu-memory";
  if ((cpu ? config.memory_per_rank : config.gpu_memory) == 0)
    fail(ExitCode::usage, fmt::format("expunge plan needs --{} SIZE with --device {}, such as --{} {}", needed,
                                      config.compute.device, needed, cpu ? "16GB" : "80GB"));
  if (!config.measured_run.empty() && config.tflops)
    fail(ExitCode::usage, "--measured-run and --tflops both give the rate; drop one of them");
  check_global_batch(config.global_batch_size);
}

}  // namespace

OptionTable plan_options(PlanConfig& config) {
  OptionTable table("plan");
  table.group("The run", run_options(config));
  table.group("Options of methods", methods_own_options(config.method));
  table.group("The machine", machine_options(config));
  table.group("Computing", training_compute_options(config.compute));
  table.group("Output", {path("sbatch", "FILE", FileUse::output, config.sbatch, "batch script for Slurm to write"),
                         flag("overwrite", config.overwrite, "replace an existing script")});
  table.reads_configs_of("unlearn");
  table.then([&config](const OptionTable& given) { check_plan(config, given); });
  return table;
}

Command plan_command() {
  return command<PlanConfig>("plan",
                             "Estimates the memory, network traffic and time of a run, and shows the policies it would choose.",
                             "expunge plan --model models/Yi-6B --world 8 --gpu-memory 80GB --bf16 --global-batch-size 480 \\\n"
                             "    --method ascent_plus_kl_divergence --sbatch unlearn.sbatch",
                             Ranks::one, plan_options, [](PlanConfig& config, const OptionTable& given) {
                               check_file_uses(given);
                               run_plan(config);
                               return static_cast<int>(ExitCode::done);
                             });
}

}  // namespace expunge
