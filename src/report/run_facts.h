// The content of a run folder and its results, as plain values for the report.
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

/// The part of the forget split that a run has trained on; each sequence counts once.
struct ForgetTaken {
  std::uint64_t sequences, tokens;
};

/// A checkpoint by the hash of its manifest.
struct NamedCheckpoint {
  std::string name, sha256;
};

/// One run. Parts that the folder lacks are absent here, and `notes` name the commands that make them.
struct ReportRun {
  std::string label;  ///< "R1", short enough for plots
  std::filesystem::path folder;
  std::string config;                        ///< text of its options
  RunOptions options;                        ///< those of the checkpoint, if any
  std::optional<CheckpointInfo> checkpoint;  ///< the newest readable one
  std::filesystem::path checkpoint_folder;
  std::string checkpoint_sha256;             ///< of its manifest
  std::vector<NamedCheckpoint> checkpoints;  ///< those with a manifest, newest first
  bool has_checkpoints = false;              ///< true also for checkpoints that cannot be read
  Lineage lineage;
  double parameters = 0;
  std::optional<Trajectory> trajectory;
  std::vector<EvaluationRow> evaluations;    ///< of evaluations.h5
  std::string stopped;                       ///< how --stop-at ended the run; empty if it did not
  std::set<std::string> token_splits;        ///< all of the token file; empty if it is gone or changed
  std::optional<SplitCounts> forget_counts;  ///< of the forget split, from the token file
  std::optional<Duplicates> duplicates;      ///< from the token file; also absent if an earlier version wrote it
  std::optional<ForgetTaken> forget_taken;   ///< also absent if the options do not determine it
  std::optional<ReportEvaluation> before, after;
  std::optional<ReportAttacks> attacks_before, attacks_after;
  std::optional<ReportTasks> tasks_before, tasks_after;
  /// The conditions of each pair of results. If they differ, the two are shown and not compared.
  std::vector<ConditionPair> evaluated, attacked, asked;
  std::vector<std::string> notes;

  const std::string& domain() const { return options.input.domain; }
  /// The path of the original model; empty where it had random weights.
  std::string original_model() const;
  /// The work of earlier runs on the original model whose steps are not in `trajectory`; empty for none.
  std::string uncounted_work() const;
  /// Reasons for not comparing the evaluations before and after; empty for none.
  std::string incomparable() const;
  bool compared() const { return before && after && incomparable().empty(); }
  /// True if the attacks scored other splits than the forget set against the approximate set.
  bool attacked_other_texts() const;
};

/// Reads the runs of the report, labelled in order. A file of --before goes to the runs that came from its model, directly or
/// through other runs. Throws Error(bad_input) for a folder that is no run and for damaged files, Error(usage) for a --before
/// or --after that fits no run.
std::vector<ReportRun> read_report_runs(const ReportConfig& config);

}  // namespace expunge
