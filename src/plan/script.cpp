// Writes the batch script.
#include "plan/script.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/log.h"
#include "core/text.h"
#include "expunge/error.h"
#include "io/files.h"

namespace expunge {
namespace {

/// Allowance for reading weights, evaluations and checkpoints.
constexpr double kSlack = 1.5, kStartSeconds = 1800;

std::string time_limit(const PlanConfig& config, double seconds) {
  constexpr double kMostMinutes = 2'147'483'647;  // Slurm's own count
  const double wanted = std::ceil((seconds * kSlack + kStartSeconds) / 60);
  if (!(wanted <= kMostMinutes))
    fail(ExitCode::usage,
         fmt::format("--sbatch {}: --max-steps {} needs a time limit of {:.4g} minutes, but Slurm allows at most {:.0f}; lower "
                     "--max-steps, or plan with more or faster ranks",
                     config.sbatch.string(), config.max_steps, wanted, kMostMinutes));
  const auto minutes = static_cast<std::int64_t>(wanted);
  return fmt::format("{}-{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60);
}

std::string options(const PlanConfig& config, const RunShape& shape, const Policies& policies) {
  std::string text = fmt::format("--model {} --method {} --device {} --dtype {}", shell_word(whole_path(config.model).string()),
                                 config.method.name, device_name(shape.device), dtype_name(shape.dtype));
  text += fmt::format(" \\\n  --gather {} --recompute {} --per-device-train-batch-size {}", gather_name(policies.gather),
                      recompute_name(policies.recompute), config.per_device_train_batch_size);
  text += given_text(config.method);
  if (config.positive_ratio != 1) text += fmt::format(" --positive-ratio {}", config.positive_ratio);
  if (config.compute.reduce_in_bf16) text += " --reduce-dtype bf16";
  if (config.compute.tf32) text += " --tf32 true";
  if (!config.compute.prefetch) text += " --prefetch off";
  if (config.compute.comm != CommPolicy::automatic) text += fmt::format(" --comm {}", comm_policy_name(config.compute.comm));
  if (config.compute.collective_timeout != ComputeConfig{}.collective_timeout)
    text += fmt::format(" --collective-timeout {}", config.compute.collective_timeout);
  if (config.micro_batch_tokens > 0) text += fmt::format(" --micro-batch-tokens {}", config.micro_batch_tokens);
  if (config.global_batch_size > 0) text += fmt::format(" --global-batch-size {}", config.global_batch_size);
  if (config.gradient_accumulation_steps > 0)
    text += fmt::format(" --gradient-accumulation-steps {}", config.gradient_accumulation_steps);
  if (config.save_steps > 0) text += fmt::format(" --save-steps {}", config.save_steps);
  if (config.max_steps > 1) text += fmt::format(" --max-steps {}", config.max_steps);
  return text;
}

// clang-format off
constexpr const char* kScript = R"sh(#!/usr/bin/env bash
# Written by `expunge plan`: {counted_ranks}, about {memory} of memory each. Signals and requeueing are those of slurm/job.sh.
#SBATCH --job-name=expunge-unlearn
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --nodes={nodes}
#SBATCH --ntasks={ranks}
#SBATCH --ntasks-per-node={per_node}
{gpus}#SBATCH --time={time}
# usage: sbatch THIS_FILE [--dry-run] --tokens FILE --domain NAME --output-dir DIR [OPTIONS OF expunge unlearn]
set -euo pipefail
for here in "${{EXPUNGE_SLURM:-}}" "$(dirname "$0")" "${{SLURM_SUBMIT_DIR:-.}}/slurm"; do [[ ! -f $here/job.sh ]] || break; done
# shellcheck source=/dev/null
source "$here/job.sh" || {{ echo "error: no slurm/job.sh: submit from the top of the clone, or set EXPUNGE_SLURM" >&2; exit 2; }}

expunge_on_ranks unlearn {options} "$@"
)sh";
// clang-format on

}  // namespace

std::string batch_script(const PlanConfig& config, const RunShape& shape, const Policies& policies, double seconds) {
  const auto per_node = std::min(static_cast<int>(config.gpus_per_node), shape.world_size);
  const int nodes = (shape.world_size + per_node - 1) / per_node;
  const bool gpu = shape.device == DeviceType::cuda;
  return fmt::format(kScript, fmt::arg("ranks", shape.world_size), fmt::arg("counted_ranks", counted(shape.world_size, "rank")),
                     fmt::arg("memory", format_bytes(static_cast<double>(policies.memory.total()))), fmt::arg("nodes", nodes),
                     fmt::arg("per_node", per_node),
                     fmt::arg("gpus", gpu ? fmt::format("#SBATCH --gpus-per-node={}\n", per_node) : ""),
                     fmt::arg("time", time_limit(config, seconds)), fmt::arg("options", options(config, shape, policies)));
}

}  // namespace expunge
