// What a run folder and the evaluations beside it hold, as plain values for the report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "report/attacks.h"
#include "report/lineage.h"
#include "report/options.h"
#include "report/summary.h"
#include "report/tasks.h"
#include "run/conditions.h"
#include "run/options.h"
#include "run/results/evaluations.h"
#include "store/checkpoint.h"

namespace expunge {

/// An eval.h5.
struct ReportEvaluation {
  std::filesystem::path path;
  std::string model, model_sha256;
  Conditions conditions;
  SplitTable splits;
  ResultOrigin origin = {};
};

/// Columns of a metrics.h5 and their sums.
struct Trajectory {
  std::vector<double> step, loss, loss_forget, loss_retain;
  double tokens = 0, seconds = 0;  ///< over all steps
  std::int64_t memory_bytes = 0;   ///< peak of the largest rank
};

/// What of the forget split a run has trained on, each sequence counted once.
struct ForgetTaken {
  std::uint64_t sequences, tokens;
};

/// A checkpoint by the hash of its manifest.
struct NamedCheckpoint {
  std::string name, sha256;
};

/// One run. What is absent from the folder is absent here, and `notes` say how to make it.
struct ReportRun {
  std::string label;  ///< "R1", short enough for plots
  std::filesystem::path folder;
  std::string config;                        ///< text of its options
  RunOptions options;                        ///< those of the checkpoint where there is one
  std::optional<CheckpointInfo> checkpoint;  ///< the newest that can be read
  std::filesystem::path checkpoint_folder;
  std::string checkpoint_sha256;             ///< of its manifest
  std::vector<NamedCheckpoint> checkpoints;  ///< those with a manifest, newest first
  bool has_checkpoints = false;              ///< whether there are any, such that cannot be read included
  Lineage lineage;
  double parameters = 0;
  std::optional<Trajectory> trajectory;
  std::vector<EvaluationRow> evaluations;    ///< of evaluations.h5, which --eval-steps makes
  std::string stopped;                       ///< how the condition of --stop-at ended the run; empty where it did not
  std::set<std::string> token_splits;        ///< all of the token file; empty where it is gone or another one now
  std::optional<SplitCounts> forget_counts;  ///< of the forget split, from the token file
  std::optional<Duplicates> duplicates;      ///< from the token file; absent, too, where it is of an earlier version
  std::optional<ForgetTaken> forget_taken;   ///< absent, too, where the options do not tell
  std::optional<ReportEvaluation> before, after;
  std::optional<ReportAttacks> attacks_before, attacks_after;
  std::optional<ReportTasks> tasks_before, tasks_after;
  /// Of each two: how they were computed. Where that differs, the two are shown and not compared.
  std::vector<ConditionPair> evaluated, attacked, asked;
  std::vector<std::string> notes;

  const std::string& domain() const { return options.input.domain; }
  /// The path of the original model; empty where it had random weights.
  std::string original_model() const;
  /// What earlier runs did to the original model in steps that are not in `trajectory`; empty for nothing.
  std::string uncounted_work() const;
  /// Why the evaluations before and after may not be held against one another; empty for no reason.
  std::string incomparable() const;
  bool compared() const { return before && after && incomparable().empty(); }
  /// Whether something is known to have been scored that is not the forget set against the approximate one.
  bool attacked_other_texts() const;
};

/// Reads the runs that the report is about, labelled in order. A file of --before goes to the runs that came from its model,
/// directly or through other runs. Throws Error(bad_input) for a folder that is no run and for damaged files, Error(usage) for
/// a
/// --before or --after that fits no run.
std::vector<ReportRun> read_report_runs(const ReportConfig& config);

}  // namespace expunge
