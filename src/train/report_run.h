// What a run folder and the evaluations beside it hold, as plain values for the report.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "expunge/data/token_file.h"
#include "expunge/train/checkpoint.h"
#include "expunge/train/config.h"
#include "train/conditions.h"
#include "train/report_attacks.h"
#include "train/report_figures.h"
#include "train/report_tasks.h"

namespace expunge {

/// An eval.h5.
struct ReportEvaluation {
  std::filesystem::path path;
  std::string model, model_sha256;
  Conditions conditions;
  SplitTable splits;
};

/// Columns of a metrics.h5 and their sums.
struct Trajectory {
  std::vector<double> step, loss, loss_forget, loss_retain;
  double tokens = 0, seconds = 0;  ///< over all steps
  std::int64_t memory_bytes = 0;   ///< peak of the largest rank
};

/// Columns of an evaluations.h5, which --eval-steps makes.
struct InRunEvaluations {
  std::vector<double> step;
  std::map<std::string, std::vector<double>> perplexity;  ///< by "domain/split"
};

/// What of the forget split a run has trained on, each sequence counted once.
struct ForgetTaken {
  std::uint64_t sequences, tokens;
};

/// One run. What is absent from the folder is absent here, and `notes` say how to make it.
struct ReportRun {
  std::string label;  ///< "R1", short enough for plots
  std::filesystem::path folder;
  std::string config;                          ///< text of its options
  std::map<std::string, std::string> options;  ///< the same by key; a list's values joined by ", "
  std::optional<CheckpointInfo> checkpoint;    ///< the newest that can be read
  std::filesystem::path checkpoint_folder;
  double parameters = 0;
  std::optional<Trajectory> trajectory;
  std::optional<InRunEvaluations> evaluations;
  std::optional<SplitCounts> forget_counts;  ///< of the forget split, from the token file
  std::optional<Duplicates> duplicates;      ///< from the token file; absent, too, where it is of an earlier version
  std::optional<ForgetTaken> forget_taken;   ///< absent, too, where the options do not tell
  std::optional<ReportEvaluation> before, after;
  std::optional<ReportAttacks> attacks_before, attacks_after;
  std::optional<ReportTasks> tasks_before, tasks_after;
  /// Of each two: how they were computed. Where that differs, the two are shown and not compared.
  std::vector<ConditionPair> evaluated, attacked, asked;
  std::vector<std::string> notes;

  std::string option(const std::string& key) const;
  std::string domain() const { return option("domain"); }
  /// Whether before and after may be held against one another.
  bool compared() const { return before && after && differences(evaluated).empty(); }
};

/// Reads the runs that the report is about, labelled in order. An original model's files of --before go to the runs that
/// began from that model. Throws Error(bad_input) for a folder that is no run and for damaged files, Error(usage) for a
/// --before or --after that fits no run.
std::vector<ReportRun> read_report_runs(const ReportConfig& config);

}  // namespace expunge
