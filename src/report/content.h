// What a report says, from what the runs hold.
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

/// The derived figures of a run; absent where the files that they come from are.
struct RunSummary {
  std::optional<SplitMetrics> forget_before, forget_after, approximate_before;
  std::optional<GoalDistance> distance;
  std::vector<std::string> retained;  ///< splits of the growth
  std::optional<double> growth;
  std::optional<ComputeCost> cost;
  bool on_front = false;  ///< of the runs that can be compared with it, itself included
  int rivals = 0;         ///< how many those are, without itself
};

/// One summary a run, in order. Runs are compared when they began from the same model and tokens, have the same domain, and
/// were evaluated on the same splits.
std::vector<RunSummary> summarise_runs(const std::vector<ReportRun>& runs, double pretraining_tokens);

/// Draws plots into galleries; draws nothing once gnuplot was found missing.
class Plotter {
 public:
  /// Adds the figure, where there is something to draw.
  void add(const Plot& plot, const std::string& caption, Gallery& gallery);
  bool missing() const { return missing_; }

 private:
  bool missing_ = false;
};

/// The section of one run.
void add_run_section(const ReportRun& run, const RunSummary& summary, const ReportConfig& config, Plotter& plotter,
                     std::vector<Block>& blocks);
/// The whole report.
Document describe_report(const std::vector<ReportRun>& runs, const ReportConfig& config, Plotter& plotter);

// Figures as text; "–" for what is not a number.
std::string number(double value);                            ///< four digits
std::string percent(double value);                           ///< "12.34 %"
std::string signed_number(double value);                     ///< "+0.123"
std::string count(double value);                             ///< "12,345"
std::string counted(double value, const std::string& what);  ///< "1 step", "12 steps"
/// How far a run has come to its goal, in words; empty where that is not known.
std::string way_gone(const GoalDistance& distance);
std::string method_name(const ReportRun& run);
/// What the run was and what became of it, as the first rows of its section.
Table identify_run(const ReportRun& run);

}  // namespace expunge
