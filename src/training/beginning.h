// The start of a run: from the original model, from its own last checkpoint, or from a checkpoint of another run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "run/options.h"
#include "session/session.h"
#include "store/checkpoint.h"
#include "store/weights.h"

namespace expunge {

/// The checkpoint that the run continues from, if any.
struct Beginning {
  std::optional<std::filesystem::path> checkpoint;
  std::optional<CheckpointInfo> before;  ///< the record of that checkpoint
  bool own = false;                      ///< true: the checkpoint is of this run, which is resumed; false: it is of another run
};

/// Throws Error(bad_input) unless `now`, the hash of a file, equals `was`, its hash when the run began.
void refuse_changed(const char* what, const std::filesystem::path& path, const std::string& was, const std::string& now);

/// The record of the run that every checkpoint stores. Collective. Throws Error(bad_input) if an input changed since the run
/// began, Error(usage) for another --sample-order.
CheckpointInfo checkpoint_info(const Session& session, const RunOptions& config, const WeightsSource& source,
                               const std::vector<UnitLayout>& units, const std::string& tokens_sha256,
                               const Beginning& beginning);

/// The number of counted optimizer steps that other runs made: the step of the checkpoint that this run began from, or 0.
std::int64_t adopted_step(const Beginning& beginning);

/// Warns if other kernels or another number of ranks change the order of sums in a resumed run. This is no error: a run that
/// began on one kind of node could otherwise never end on another.
void warn_of_other_sums(const Session& session, const CheckpointInfo& before);

/// Warns if an earlier run trained on text that this method, or its metrics, treat as never seen.
void warn_of_what_was_learnt(const RunOptions& config, const CheckpointInfo& info);

}  // namespace expunge
