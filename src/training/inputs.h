// The inputs of a run, read and checked before any output is made.
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
#include "training/in_run_evaluation.h"
#include "training/run_length.h"
#include "training/training_data.h"

namespace expunge {

/// The inputs of a run. Bad inputs are refused here, before the run folder exists.
struct Inputs {
  /// Collective. Throws Error(bad_input) for a bad file, Error(usage) for options that do not match the files.
  Inputs(const Session& session, const RunOptions& options);

  WeightsSource source;
  TokenFile tokens;
  std::unique_ptr<Objective> objective;
  TrainingData data;
  std::vector<UnitLayout> units;
  std::string tokens_sha256;
  RunLength length;
  std::string labels_sha256;  ///< hash of the --labels file; empty without one
  std::optional<EvaluationSpec> evaluation_spec;
  int tokens_at_once;  ///< most tokens in one pass of the model, in a step or an evaluation
};

}  // namespace expunge
