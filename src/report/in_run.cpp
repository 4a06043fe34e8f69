// Reads the evaluations inside a run, and describes how its --stop-at ended it.
#include "report/in_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/condition.h"
#include "expunge/error.h"
#include "io/hdf5_seal.h"
#include "report/content.h"
#include "run/run_folder.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

/// The evaluations that the report uses: before the first step, of the kept state, and after the last step.
struct Rows {
  const EvaluationRow &start, *kept, &end;  ///< kept: null if the kept state was not evaluated
};

StopCondition condition_of(const ReportRun& run) {
  StopCondition condition = [&] {
    try {
      return parse_stop_condition(run.options.evaluation.stop_at);
    } catch (const Error& error) {
      fail(ExitCode::bad_input, fmt::format("{}: {}", RunFolder{run.folder}.config().string(), error.what()));
    }
  }();
  for (StopCondition::Operand* operand : {&condition.left, &condition.right})
    if (!operand->split.empty()) operand->split = full_split_name(run.domain(), operand->split);
  return condition;
}

/// Describes the result of --stop-at for a run that has ended. The kept state may be earlier than that of the last evaluation.
void tell_of_condition(const Rows& rows, ReportRun& run) {
  const std::string text = run.options.evaluation.stop_at;
  if (text.empty() || !run.checkpoint || run.checkpoint->step != run.checkpoint->total_steps) return;
  const std::int64_t kept = run.checkpoint->step, last = rows.end.step;
  const StopCondition condition = condition_of(run);
  const auto at = [&](const EvaluationRow& now) {
    return [&](const StopCondition::Operand& operand) {
      return value_of(operand, operand.at_start ? rows.start.splits : now.splits);
    };
  };
  if (condition.holds(at(rows.end))) {
    run.stopped = fmt::format("\"{}\" held after step {} ({}). The run ended there and keeps the state of step {}", text, last,
                              condition.standing(at(rows.end)), kept);
    if (kept == last) run.stopped += ", the nearest evaluated state";
    if (kept < last && rows.kept)
      run.stopped += fmt::format(", which was nearer to the condition ({})", condition.standing(at(*rows.kept)));
  } else if (kept == last) {
    run.notes.push_back(fmt::format("--stop-at \"{}\" was not reached in {}: {}.", text,
                                    counted(static_cast<double>(kept), "step"), condition.standing(at(rows.end))));
  }
}

}  // namespace

InRunEnds read_in_run_evaluations(ReportRun& run) {
  const RunFolder folder{run.folder};
  if (!fs::exists(folder.evaluations())) return {};
  const Hdf5File file = open_sealed(folder.evaluations());
  run.evaluations = read_evaluations(file);
  const std::vector<EvaluationRow>& all = run.evaluations;
  if (all.empty()) return {};
  const auto found = std::ranges::find(all, run.checkpoint ? run.checkpoint->step : -1, &EvaluationRow::step);
  const Rows rows{all.front(), found == all.end() ? nullptr : &*found, all.back()};
  tell_of_condition(rows, run);
  if (!run.checkpoint) return {};
  InRunEnds ends;
  if (const std::int64_t most = run.options.evaluation.max_samples; most > 0) {
    ends.lacking = fmt::format(
        "{} is of the first {} of each split only (--max-eval-samples), so it does not replace an evaluation of the "
        "original model or of the run's.",
        folder.evaluations().string(), most == 1 ? "sequence" : fmt::format("{} sequences", most));
    return ends;
  }
  ReportEvaluation end{folder.evaluations(), run.options.input.model.string(), run.checkpoint->model_sha256, {}, {}};
  end.conditions = {
      {"dtype", run.checkpoint->dtype}, {"device", run.checkpoint->device}, {"tokens_sha256", run.checkpoint->tokens_sha256}};
  if (rows.start.step == 0) {
    ends.before = end;
    ends.before->splits = rows.start.splits;
  }
  if (rows.kept) {
    ends.after = end;
    ends.after->splits = rows.kept->splits;
  }
  return ends;
}

}  // namespace expunge
