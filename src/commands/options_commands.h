// The options of each command, bound to the struct of values that they fill.
#pragma once

#include <filesystem>
#include <optional>

#include "audit/membership.h"
#include "cli/option_table.h"
#include "commands/options.h"
#include "commands/tokenize.h"
#include "expunge/dtype.h"
#include "plan/options.h"
#include "report/options.h"
#include "run/options.h"

namespace expunge {

/// Options of `expunge export`.
struct ExportConfig {
  std::filesystem::path checkpoint, output_dir;  ///< checkpoint: a run folder, whose newest is taken, or a checkpoint folder
  std::optional<DType> dtype;                    ///< of the written weights; unset: as the model's config.json says
  bool quiet = false;
};

/// Options of `expunge inspect` and `expunge verify`.
struct InspectConfig {
  std::filesystem::path path;
};

// Each table refers to `config`, which must outlive it and stay in place.
OptionTable tokenize_options(TokenizeOptions& config);
OptionTable train_options(TrainConfig& config);
OptionTable unlearn_options(TrainConfig& config);
OptionTable eval_options(EvalConfig& config);
OptionTable mia_options(MembershipConfig& config);
OptionTable generate_options(GenerateConfig& config);
OptionTable task_options(TaskConfig& config);
OptionTable export_options(ExportConfig& config);
OptionTable report_options(ReportConfig& config);
OptionTable plan_options(PlanConfig& config);
OptionTable inspect_options(InspectConfig& config);
OptionTable verify_options(InspectConfig& config);

/// Completes what depends on the number of ranks: global_batch_size G = world x per-device batch x accumulation, unless it
/// was given, output_dir unless it was, and config.resolved. Throws Error(usage) when G and the accumulation were both given
/// and do not agree.
void resolve(TrainConfig& config, int world_size);

}  // namespace expunge
