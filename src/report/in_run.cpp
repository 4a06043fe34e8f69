// Evaluations inside a run, and how its --stop-at ended it.
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

/// The rows of the table that matter: before the first step, of the state that is kept, and after the last step.
struct Rows {
  SplitTable start, kept, end;
  std::int64_t last_step = 0;
};

StopCondition condition_of(const ReportRun& run) {
  StopCondition condition = [&] {
    try {
      return parse_stop_condition(run.options.evaluation.stop_at);
    } catch (const Error& error) {
      fail(ExitCode::bad_input, fmt::format("{}: {}", RunFolder{run.folder}.config().string(), error.what()));
    }
  }();
  for (StopCondition::Figure* figure : {&condition.left, &condition.right})
    if (!figure->split.empty()) figure->split = full_split_name(run.domain(), figure->split);
  return condition;
}

/// What a run that has ended owes to its --stop-at. The state that it keeps may be one before that at which the condition held.
void tell_of_condition(const Rows& rows, ReportRun& run) {
  const std::string text = run.options.evaluation.stop_at;
  if (text.empty() || !run.checkpoint || run.checkpoint->step != run.checkpoint->total_steps) return;
  const std::int64_t kept = run.checkpoint->step, last = rows.last_step;
  const StopCondition condition = condition_of(run);
  const auto at = [&](const SplitTable& now) {
    return [&](const StopCondition::Figure& figure) { return value_of(figure, figure.at_start ? rows.start : now); };
  };
  if (condition.holds(at(rows.end))) {
    run.stopped = fmt::format("\"{}\" held after step {} ({}). The run ended there and keeps the state of step {}", text, last,
                              condition.standing(at(rows.end)), kept);
    if (kept == last) run.stopped += ", of those evaluated the nearest to it";
    if (kept < last) run.stopped += fmt::format(", which was nearer to it ({})", condition.standing(at(rows.kept)));
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
  const std::vector<std::int64_t> steps = file.read_all<std::int64_t>("/eval/step");
  if (steps.empty()) return {};
  const auto kept = static_cast<std::size_t>(run.checkpoint ? std::ranges::find(steps, run.checkpoint->step) - steps.begin()
                                                            : std::ssize(steps));
  InRunEvaluations found{{steps.begin(), steps.end()}, {}};
  Rows rows{{}, {}, {}, steps.back()};
  for (const std::string& domain : file.children("/eval")) {
    if (!file.is_group("/eval/" + domain)) continue;
    for (const std::string& split : file.children("/eval/" + domain)) {
      const std::string name = domain + "/" + split;
      const auto column = [&](const char* figure) {
        const std::string dataset = fmt::format("/eval/{}/{}", name, figure);
        const std::vector<double> values = file.read_all<double>(dataset);
        if (values.size() != steps.size())
          fail(ExitCode::bad_input, fmt::format("{}: {}: expected {} rows, as /eval/step has, found {}", file.path().string(),
                                                dataset, steps.size(), values.size()));
        return values;
      };
      const auto perplexity = column("perplexity"), per_token = column("token_perplexity"), accuracy = column("accuracy");
      const auto row = [&](std::size_t i) { return SplitFigures{perplexity[i], per_token[i], accuracy[i], 0, 0, NAN}; };
      rows.start[name] = row(0);
      if (kept < steps.size()) rows.kept[name] = row(kept);
      rows.end[name] = row(steps.size() - 1);
      found.perplexity[name] = perplexity;
    }
  }
  run.evaluations = std::move(found);
  tell_of_condition(rows, run);
  if (!run.checkpoint) return {};
  InRunEnds ends;
  if (const std::int64_t most = run.options.evaluation.max_samples; most > 0) {
    ends.lacking = fmt::format(
        "{} is of the first {} of each split only (--max-eval-samples), so it does not stand in for an evaluation of the "
        "original model or of the run's.",
        folder.evaluations().string(), most == 1 ? "sequence" : fmt::format("{} sequences", most));
    return ends;
  }
  ReportEvaluation end{folder.evaluations(), run.options.input.model.string(), run.checkpoint->model_sha256, {}, {}};
  end.conditions = {
      {"dtype", run.checkpoint->dtype}, {"device", run.checkpoint->device}, {"tokens_sha256", run.checkpoint->tokens_sha256}};
  if (steps.front() == 0) (ends.before = end)->splits = std::move(rows.start);
  if (kept < steps.size()) (ends.after = end)->splits = std::move(rows.kept);
  return ends;
}

}  // namespace expunge
