// Evaluation inside training.
#include "training/monitor.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/log.h"
#include "expunge/error.h"
#include "run/log_table.h"

namespace expunge {
namespace {

std::string column(const std::string& split, const char* figure) { return fmt::format("/eval/{}/{}", split, figure); }

}  // namespace

Monitored::Monitored(const std::string& domain, EvaluationOptions evaluation, std::int64_t packed, const TokenFile& tokens,
                     int vocabulary)
    : options(std::move(evaluation)), micro_batch_tokens(packed), names(evaluation_splits(tokens, domain, options.splits)) {
  for (const std::string& name : names) splits.push_back(tokens.split(name, vocabulary));
  if (options.stop_at.empty()) return;
  condition = parse_stop_condition(options.stop_at);
  for (StopCondition::Figure* figure : {&condition->left, &condition->right}) {
    if (figure->split.empty()) continue;
    const std::string name = full_split_name(domain, figure->split);
    if (std::ranges::find(names, name) == names.end())
      fail(ExitCode::usage,
           fmt::format("--stop-at: {} is not among the splits that are evaluated: {}", figure->split, fmt::join(names, ", ")));
    figure->split = name;
  }
}

Monitor::Monitor(const Runtime& runtime, const std::filesystem::path& path, Monitored monitored, std::int64_t last_step,
                 std::int64_t adopted_step, const std::filesystem::path& checkpoint, IoThread& io)
    : runtime_(runtime), io_(io), monitored_(std::move(monitored)), adopted_step_(adopted_step) {
  if (runtime.comm.rank() != 0) return;
  std::vector<Columns::Column> columns{{"/eval/step", Columns::Kind::int64}};
  for (const std::string& name : monitored_.names)
    for (const char* figure : {"perplexity", "token_perplexity", "accuracy"})
      columns.push_back({column(name, figure), Columns::Kind::float64});
  columns_.emplace(open_log_table(path, columns, last_step, checkpoint));
  if (columns_->rows() == 0) return;
  const std::vector<std::int64_t> steps = columns_->read_int64("/eval/step");
  std::vector<Figures> rows(steps.size());
  for (const std::string& name : monitored_.names) {
    const std::vector<double> perplexity = columns_->read_float64(column(name, "perplexity")),
                              per_token = columns_->read_float64(column(name, "token_perplexity")),
                              accuracy = columns_->read_float64(column(name, "accuracy"));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i][name] = {perplexity[i], per_token[i], accuracy[i], 0, 0};
  }
  start_ = rows.front();
  for (std::size_t i = 0; i < steps.size() && steps[i] <= last_step; ++i) {
    recorded_ = steps[i];
    if (steps[i] < adopted_step) continue;
    judge(steps[i], rows[i]);
  }
}

void Monitor::begin(const Provenance& provenance) {
  if (!columns_) return;
  columns_->annotate([&](Hdf5File& file) { write_provenance(file, provenance); });
}

Monitor::Outcome Monitor::judge(std::int64_t step, const Figures& figures) {
  if (!monitored_.condition) return Outcome::go_on;
  const auto now = [&](const StopCondition::Figure& figure) { return value(figure, figures); };
  // The model before the run has forgotten nothing.
  const double distance = step > 0 ? monitored_.condition->distance(now) : std::numeric_limits<double>::infinity();
  const bool nearer = distance < distance_;
  if (nearer) {
    distance_ = distance;
    nearest_ = step;
  }
  unmet_.clear();
  if (monitored_.condition->holds(now)) return Outcome::stop;
  unmet_ = monitored_.condition->standing(now);
  if (!nearer && nearest_ > 0) unmet_ += fmt::format("; step {} was nearer, and its checkpoint is kept", nearest_);
  return nearer ? Outcome::nearer : Outcome::go_on;
}

int Monitored::longest() const {
  std::size_t longest = 0;
  for (const TokenSplit& split : splits)
    for (std::size_t i = 0; i < split.sequences(); ++i) longest = std::max(longest, split.length(i));
  return static_cast<int>(longest);
}

double Monitor::value(const StopCondition::Figure& figure, const Figures& now) const {
  // Where a run goes on from a checkpoint without the evaluations before it, the first one is not known.
  return value_of(figure, figure.at_start ? start_ : now);
}

void Monitor::record(std::int64_t step, const Figures& figures) {
  if (step == adopted_step_) start_ = figures;
  std::vector<Columns::Value> row{step};
  NamedFigures named;
  std::string line;
  for (const std::string& name : monitored_.names) {
    const SplitFigures& f = figures.at(name);
    for (const auto& [figure, value] : {std::pair("perplexity", f.perplexity),
                                        std::pair("token_perplexity", f.token_perplexity), std::pair("accuracy", f.accuracy)}) {
      row.push_back(value);
      named.emplace_back(column(name, figure).substr(1), value);
    }
    line += fmt::format(" | {} {:.4g}", name, f.perplexity);
  }
  io_.enqueue([this, row] { columns_->append_rows(std::span(&row, 1)); });
  recorded_ = step;
  if (listener_) listener_(step, named);
  log_info(fmt::format("step {}: perplexity{}", step, line));
}

std::int64_t Monitor::recorded() const {
  return static_cast<std::int64_t>(all_reduce(runtime_, static_cast<double>(recorded_), Reduce::max));
}

std::int64_t Monitor::nearest() const {
  return static_cast<std::int64_t>(all_reduce(runtime_, static_cast<double>(nearest_), Reduce::max));
}

template <Element T>
Monitor::Outcome Monitor::evaluate(Llama<T>& model, std::int64_t step, bool last, const std::function<bool()>& cut_short) {
  if (!last && step != adopted_step_ && step % monitored_.options.steps != 0) return Outcome::go_on;
  if (recorded() >= step) return Outcome::go_on;
  bool ended = false;
  // No more tokens at once than a training step has room for: the run's plan of memory knows of no others.
  const std::int64_t asked = monitored_.micro_batch_tokens, room = model.room();
  const bool fits = (asked > 0 ? asked : monitored_.options.per_device_batch_size * monitored_.longest()) <= room;
  const EvaluationBatching batching{
      static_cast<std::size_t>(monitored_.options.per_device_batch_size), static_cast<std::size_t>(fits ? asked : room),
      static_cast<std::size_t>(monitored_.options.max_samples), [&] { return ended = cut_short(); }};
  Figures figures;
  for (std::size_t s = 0; s < monitored_.names.size(); ++s) {
    const std::vector<SequenceFigures> sequences = evaluate_split(model, monitored_.splits[s], batching);
    if (ended) return Outcome::cut_short;
    check_finite(fmt::format("step {}", step), monitored_.names[s], sequences);
    figures[monitored_.names[s]] = summarise_split(sequences);
  }
  return on_root(runtime_, [&] {
    record(step, figures);
    return judge(step, figures);
  });
}

#define EXPUNGE_MONITOR(T) \
  template Monitor::Outcome Monitor::evaluate(Llama<T>&, std::int64_t, bool, const std::function<bool()>&);
EXPUNGE_MONITOR(float)
EXPUNGE_MONITOR(bf16)
EXPUNGE_MONITOR(double)
#undef EXPUNGE_MONITOR

}  // namespace expunge
