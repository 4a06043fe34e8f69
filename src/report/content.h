// The content of a report, made from the runs.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "report/document.h"
#include "report/options.h"
#include "report/plot.h"
#include "report/run_facts.h"

namespace expunge {

/// The derived metrics of a run; absent if their files are missing.
struct RunSummary {
  std::optional<SplitMetrics> forget_before, forget_after, approximate_before;
  std::optional<GoalDistance> distance;
  std::vector<std::string> retained;  ///< the splits of `growth`
  std::optional<double> growth;
  std::optional<ComputeCost> cost;
  bool on_front = false;  ///< among the comparable runs, itself included
  int rivals = 0;         ///< number of comparable runs, without itself
};

/// One summary per run, in order. Runs are comparable if they began from the same model and tokens, have the same domain, and
/// were evaluated on the same splits.
std::vector<RunSummary> summarise_runs(const std::vector<ReportRun>& runs, double pretraining_tokens);

/// Draws plots into galleries; draws nothing if gnuplot is missing.
class Plotter {
 public:
  /// Adds the plot, if it has any points.
  void add(const Plot& plot, const std::string& caption, Gallery& gallery);
  bool missing() const { return missing_; }

 private:
  bool missing_ = false;
};

/// Adds the section of one run.
void add_run_section(const ReportRun& run, const RunSummary& summary, const ReportConfig& config, Plotter& plotter,
                     std::vector<Block>& blocks);
/// Makes the whole report.
Document describe_report(const std::vector<ReportRun>& runs, const ReportConfig& config, Plotter& plotter);

// Metrics as text; "–" for values that are not finite.
std::string number(double value);                            ///< four digits
std::string percent(double value);                           ///< "12.34 %"
std::string signed_number(double value);                     ///< "+0.123"
std::string count(double value);                             ///< "12,345"
std::string counted(double value, const std::string& what);  ///< "1 step", "12,345 steps"
/// Describes how far a run is on its way to the goal; empty if unknown.
std::string way_gone(const GoalDistance& distance);
std::string method_name(const ReportRun& run);
/// Identifies the run and its result, as the first rows of its section.
Table identify_run(const ReportRun& run);

}  // namespace expunge
