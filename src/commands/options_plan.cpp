// Options of `expunge plan`.
#include <fmt/format.h>

#include "cli/values.h"
#include "commands/options_commands.h"
#include "commands/options_shared.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "expunge/objective.h"
#include "plan/options.h"
#include "training/run_length.h"

namespace expunge {
namespace {

std::vector<Option> run_options(PlanConfig& c) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const MethodInfo& info : methods()) names.emplace_back(info.name, info.name);
  Option method = choice<std::string>("method", c.method, std::move(names),
                                      "method of the run: some keep the original model beside the trained one");
  method.value_name = "METHOD";
  return {
      required(
          path("model", "DIR", FileUse::model, c.model, "folder with the model's config.json; nothing else of it is read")),
      std::move(method),
      choice<bool>("retain-loss", c.retain_kl, {{"nll", false}, {"kl", true}}, "the retain term, as for expunge unlearn"),
      real("alpha", c.alpha, kNotNegative, "weight of the retain term; 0: no retain set is read"),
      whole("positive-ratio", c.positive_ratio, 1, "retain sequences after each forget sequence"),
      whole("max-length", c.max_length, 5, "tokens of a sequence"),
      whole("per-device-train-batch-size", c.per_device_train_batch_size, 1, "sequences in a rank's micro-batch"),
      whole("micro-batch-tokens", c.compute.micro_batch_tokens, 0,
            "pack sequences into micro-batches of at most this many tokens; 0: count sequences instead"),
      whole("gradient-accumulation-steps", c.gradient_accumulation_steps, 0, "micro-batches of a rank in one optimizer step"),
      whole("global-batch-size", c.global_batch_size, 0,
            "sequences in one optimizer step; 0: ranks x per-device batch x accumulation"),
      whole("max-steps", c.max_steps, {1, kMostSteps}, "optimizer steps, for the time limit of --sbatch"),
      whole("save-steps", c.save_steps, 0, "steps between checkpoints, which on the CPU take a copy of the shards; 0: none"),
      config_option(),
      print_config_option()};
}

std::vector<Option> machine_options(PlanConfig& c) {
  return {
      required(whole("world", c.world, {1, PlanConfig::kMostRanks}, "ranks, each with a GPU of its own (--device cuda)")),
      memory_size("gpu-memory", c.gpu_memory, "memory of a GPU: 80GB, 141GB; a bare number is in GB"),
      memory_size("memory-per-rank", c.memory_per_rank, "with --device cpu: memory that a rank may take"),
      whole("gpus-per-node", c.gpus_per_node, 1, "ranks of a node"),
      real("tflops", c.tflops, kRate,
           "TFLOP/s that a rank achieves; without it, 400 for bfloat16 on a GPU, 40 for float32, 0.1 on the CPU"),
      path("measured-run", "RUN", FileUse::run, c.measured_run, "take that rate from the steps of this run folder"),
      real("memory-bandwidth", c.memory_bandwidth, kRate, "GB/s of a rank's memory; without it, 3000 on a GPU, 20 on the CPU"),
      real("node-gbps", c.node_gbps, kRate,
           "Gbit/s that a rank receives from others of its node; without it, 2400 on a GPU (NVLink), 20 on the CPU"),
      real("network-gbps", c.network_gbps, kRate, "Gbit/s that a rank receives from other nodes"),
      real("network-latency-us", c.network_latency_us, kTime, "microseconds of a message between nodes")};
}

void check_plan(PlanConfig& c, const OptionTable& given) {
  check_compute(c.compute, given);
  const bool cpu = c.compute.device == "cpu";
  if (c.compute.dtype_by_device && has_bf16_products(cpu ? DeviceType::cpu : DeviceType::cuda))
    c.compute.dtype = DType::bfloat16;
  c.compute.dtype_by_device = false;
  const char* const needed = cpu ? "memory-per-rank" : "gpu-memory";
  if ((cpu ? c.memory_per_rank : c.gpu_memory) == 0)
    fail(ExitCode::usage, fmt::format("expunge plan needs --{} SIZE with --device {}, such as --{} {}", needed,
                                      c.compute.device, needed, cpu ? "16GB" : "80GB"));
  if (!c.measured_run.empty() && c.tflops)
    fail(ExitCode::usage, "--measured-run and --tflops both give the rate; drop one of them");
  check_global_batch(c.global_batch_size);
}

}  // namespace

OptionTable plan_options(PlanConfig& c) {
  OptionTable table("plan");
  table.group("The run", run_options(c));
  table.group("The machine", machine_options(c));
  table.group("Computing", training_compute_options(c.compute));
  table.group("Output", {path("sbatch", "FILE", FileUse::output, c.sbatch, "batch script for Slurm to write"),
                         flag("overwrite", c.overwrite, "replace the script where there is one")});
  table.reads_configs_of("unlearn");
  table.then([&c](const OptionTable& given) { check_plan(c, given); });
  return table;
}

}  // namespace expunge
