// What a run begins from: the original model, its own last checkpoint, or one of another run.
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

/// The checkpoint that a start goes on from, if there is one.
struct Beginning {
  std::optional<std::filesystem::path> checkpoint;
  std::optional<CheckpointInfo> before;
  bool own = false;  ///< of this run, which is resumed; else of another run, which this one begins from
};

/// Throws Error(bad_input) where a file's hash is not what it was when the run began.
void refuse_changed(const char* what, const std::filesystem::path& path, const std::string& was, const std::string& now);

/// What every checkpoint of the run says of it. Collective. Throws Error(bad_input) where what the run is resumed with, or
/// begins from, is not what it was, Error(usage) for another --sample-order.
CheckpointInfo describe_run(const Session& session, const RunOptions& config, const WeightsSource& source,
                            const std::vector<UnitLayout>& units, const std::string& tokens_sha256, const Beginning& beginning);

/// Optimizer steps that count and that other runs made: those before the checkpoint that this run went on from. 0 for none.
std::int64_t adopted_step(const Beginning& beginning);

/// Warns where the resumed run adds up otherwise than before, by other kernels or on other ranks. It goes on all the same: one
/// begun on a node of another kind would never end.
void warn_of_other_sums(const Session& session, const CheckpointInfo& before);

/// Warns where an earlier run, by the record, taught the model what this method or its measure takes for never seen.
void warn_of_what_was_learnt(const RunOptions& config, const CheckpointInfo& info);

}  // namespace expunge
