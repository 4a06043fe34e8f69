// What a run reads, checked before anything is made.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "expunge/objective.h"
#include "model/llama.h"
#include "run/options.h"
#include "session/session.h"
#include "store/weights.h"
#include "training/monitor.h"
#include "training/run_length.h"
#include "training/training_data.h"

namespace expunge {

/// The inputs of a run. What can be refused is refused here, before the run folder is made.
struct Inputs {
  /// Collective. Throws Error(bad_input) for a file, Error(usage) for options that do not fit the files.
  Inputs(const Session& session, const RunOptions& options);

  WeightsSource source;
  TokenFile tokens;
  std::unique_ptr<Objective> objective;
  TrainingData data;
  std::vector<UnitLayout> units;
  std::string tokens_sha256;
  RunLength length;
  int largest_batch;          ///< tokens of a micro-batch
  std::string labels_sha256;  ///< of --labels; empty without it
  std::optional<Monitored> monitored;

  /// Tokens that the model computes at once, in a step or an evaluation.
  int tokens_at_once() const;
};

}  // namespace expunge
