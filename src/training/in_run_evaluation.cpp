// Evaluates the model during training, records the metrics, and checks the stop condition.
#include "training/in_run_evaluation.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "expunge/error.h"

namespace expunge {

EvaluationSpec::EvaluationSpec(const std::string& domain, EvaluationOptions evaluation, std::int64_t packed,
                               const TokenFile& tokens, int vocabulary)
    : options(std::move(evaluation)), micro_batch_tokens(packed), names(evaluation_splits(tokens, domain, options.splits)) {
  for (const std::string& name : names) splits.push_back(tokens.split(name, vocabulary));
  if (options.stop_at.empty()) return;
  condition = parse_stop_condition(options.stop_at);
  for (StopCondition::Operand* operand : {&condition->left, &condition->right}) {
    if (operand->split.empty()) continue;
    const std::string name = full_split_name(domain, operand->split);
    if (std::ranges::find(names, name) == names.end())
      fail(ExitCode::usage, fmt::format("--stop-at: {} is not among the evaluated splits: {}; add it with --eval-split",
                                        operand->split, fmt::join(names, ", ")));
    operand->split = name;
  }
}

int EvaluationSpec::longest() const {
  std::size_t longest = 0;
  for (const TokenSplit& split : splits)
    for (std::size_t i = 0; i < split.sequences(); ++i) longest = std::max(longest, split.length(i));
  return static_cast<int>(longest);
}

InRunEvaluation::InRunEvaluation(const Runtime& runtime, const std::filesystem::path& path, const EvaluationSpec& spec,
                                 std::int64_t last_step, std::int64_t adopted_step, const std::filesystem::path& checkpoint,
                                 IoThread& io)
    : runtime_(runtime), io_(io), spec_(spec), adopted_step_(adopted_step) {
  if (runtime.comm.rank() != 0) return;
  table_.emplace(path, spec_.names, last_step, checkpoint);
  const std::vector<EvaluationRow> rows = table_->rows();
  if (!rows.empty()) start_ = rows.front().splits;
  for (const EvaluationRow& row : rows) {
    if (row.step > last_step) break;
    recorded_ = row.step;
    if (row.step >= adopted_step) judge(row);
  }
}

void InRunEvaluation::begin(const Provenance& provenance) {
  if (!table_) return;
  table_->annotate([&](Hdf5File& file) { write_provenance(file, provenance); });
}

InRunEvaluation::Outcome InRunEvaluation::judge(const EvaluationRow& row) {
  if (!spec_.condition) return Outcome::go_on;
  const auto now = [&](const StopCondition::Operand& operand) { return value(operand, row.splits); };
  // Step 0 cannot be the nearest, because nothing is forgotten yet.
  const double distance = row.step > 0 ? spec_.condition->distance(now) : std::numeric_limits<double>::infinity();
  const bool nearer = distance < distance_;
  if (nearer) {
    distance_ = distance;
    nearest_ = row.step;
  }
  unmet_.clear();
  if (spec_.condition->holds(now)) return Outcome::stop;
  unmet_ = spec_.condition->standing(now);
  if (!nearer && nearest_ > 0) unmet_ += fmt::format("; step {} was nearer, and the run keeps its checkpoint", nearest_);
  return nearer ? Outcome::nearer : Outcome::go_on;
}

double InRunEvaluation::value(const StopCondition::Operand& operand, const SplitTable& now) const {
  // start_ is empty if the run continues from a checkpoint without its earlier evaluations.
  return value_of(operand, operand.at_start ? start_ : now);
}

void InRunEvaluation::record(const EvaluationRow& row) {
  if (row.step == adopted_step_) start_ = row.splits;
  io_.enqueue([this, row] { table_->append(row); });
  recorded_ = row.step;
  if (listener_) listener_(row.step, name_metrics(row, spec_.names));
  const Metric& first = metrics().front();
  std::string line;
  for (const std::string& name : spec_.names)
    line += fmt::format(" | {} {}", name, first.text(row.splits.at(name)[first.name]));
  log_info(fmt::format("step {}: {}{}", row.step, first.name, line));
}

std::int64_t InRunEvaluation::recorded() const {
  return static_cast<std::int64_t>(all_reduce(runtime_, static_cast<double>(recorded_), Reduce::max));
}

std::int64_t InRunEvaluation::nearest() const {
  return static_cast<std::int64_t>(all_reduce(runtime_, static_cast<double>(nearest_), Reduce::max));
}

template <Element T>
InRunEvaluation::Outcome InRunEvaluation::evaluate(Llama<T>& model, std::int64_t step, bool last,
                                                   const std::function<bool()>& cut_short) {
  if (!last && step != adopted_step_ && step % spec_.options.steps != 0) return Outcome::go_on;
  if (recorded() >= step) return Outcome::go_on;
  bool ended = false;
  // Memory is planned for the tokens of a training step, so an evaluation must not use more at once.
  const std::int64_t asked = spec_.micro_batch_tokens, room = model.room();
  const bool fits = (asked > 0 ? asked : spec_.options.per_device_batch_size * spec_.longest()) <= room;
  const EvaluationBatching batching{static_cast<std::size_t>(spec_.options.per_device_batch_size),
                                    static_cast<std::size_t>(fits ? asked : room),
                                    static_cast<std::size_t>(spec_.options.max_samples), [&] { return ended = cut_short(); }};
  EvaluationRow row{step, {}};
  for (std::size_t s = 0; s < spec_.names.size(); ++s) {
    const std::vector<SequenceMetrics> sequences = evaluate_split(model, spec_.splits[s], batching);
    if (ended) return Outcome::cut_short;
    check_finite(fmt::format("step {}", step), spec_.names[s], sequences);
    row.splits[spec_.names[s]] = summarise_split(sequences);
  }
  return on_root(runtime_, [&] {
    record(row);
    return judge(row);
  });
}

#define EXPUNGE_IN_RUN_EVALUATION(T) \
  template InRunEvaluation::Outcome InRunEvaluation::evaluate(Llama<T>&, std::int64_t, bool, const std::function<bool()>&);
EXPUNGE_IN_RUN_EVALUATION(float)
EXPUNGE_IN_RUN_EVALUATION(bf16)
EXPUNGE_IN_RUN_EVALUATION(double)
#undef EXPUNGE_IN_RUN_EVALUATION

}  // namespace expunge
