// Evaluation inside training.
#include "train/monitor.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "train/log_table.h"

namespace expunge {
namespace {

std::string column(const std::string& split, const char* figure) { return fmt::format("/eval/{}/{}", split, figure); }

}  // namespace

Monitor::Monitor(const Runtime& runtime, const TrainConfig& config, const TokenFile& tokens, int vocabulary,
                 std::int64_t last_step, const std::filesystem::path& checkpoint, IoThread& io)
    : runtime_(runtime), config_(config), io_(io) {
  if (!config.stop_at.empty()) condition_ = parse_stop_condition(config.stop_at);
  names_ = evaluation_splits(tokens, config.domain, config.eval_splits);
  for (const std::string& name : names_) splits_.push_back(tokens.split(name, vocabulary));
  if (condition_)
    for (const StopCondition::Figure* figure : {&condition_->left, &condition_->right})
      if (!figure->split.empty()) (void)value(*figure, {});  // names a split that is not evaluated
  if (runtime.comm.rank() != 0) return;
  std::vector<Columns::Column> columns{{"/eval/step", Columns::Kind::int64}};
  for (const std::string& name : names_)
    for (const char* figure : {"perplexity", "token_perplexity", "accuracy"})
      columns.push_back({column(name, figure), Columns::Kind::float64});
  columns_.emplace(open_log_table(RunFolder{config.output_dir}.evaluations(), columns, checkpoint));
  columns_->truncate_after("/eval/step", last_step);
  if (columns_->rows() == 0) return;
  recorded_ = columns_->read_int64("/eval/step").back();
  for (const std::string& name : names_)
    start_[name] = {columns_->read_float64(column(name, "perplexity")).front(),
                    columns_->read_float64(column(name, "token_perplexity")).front(),
                    columns_->read_float64(column(name, "accuracy")).front(), 0, 0};
}

void Monitor::annotate(const Provenance& provenance) {
  if (columns_) columns_->annotate([&](Hdf5File& file) { write_provenance(file, provenance); });
}

int Monitor::longest() const {
  std::size_t longest = 0;
  for (const TokenSplit& split : splits_)
    for (std::size_t i = 0; i < split.sequences(); ++i) longest = std::max(longest, split.length(i));
  return static_cast<int>(longest);
}

double Monitor::value(const StopCondition::Figure& figure, const Figures& now) const {
  const auto name = std::ranges::find_if(
      names_, [&](const std::string& known) { return known == figure.split || known == config_.domain + "/" + figure.split; });
  if (name == names_.end())
    fail(ExitCode::usage,
         fmt::format("--stop-at: {} is not among the splits that are evaluated: {}", figure.split, fmt::join(names_, ", ")));
  const Figures& from = figure.at_start ? start_ : now;
  const auto found = from.find(*name);
  if (found == from.end()) return 0;
  if (figure.name == "perplexity") return found->second.perplexity;
  return figure.name == "accuracy" ? found->second.accuracy : found->second.token_perplexity;
}

void Monitor::record(std::int64_t step, const Figures& figures) {
  if (step == 0) start_ = figures;
  std::vector<Columns::Value> row{step};
  std::string line;
  for (const std::string& name : names_) {
    const SplitFigures& f = figures.at(name);
    row.insert(row.end(), {f.perplexity, f.token_perplexity, f.accuracy});
    line += fmt::format(" | {} {:.4g}", name, f.perplexity);
  }
  io_.enqueue([this, row] { columns_->append_rows(std::span(&row, 1)); });
  recorded_ = step;
  log_info(fmt::format("step {}: perplexity{}", step, line));
}

std::int64_t Monitor::recorded() const {
  return static_cast<std::int64_t>(all_reduce(runtime_, static_cast<double>(recorded_), Reduce::max));
}

template <Element T>
Monitor::Outcome Monitor::evaluate(Llama<T>& model, std::int64_t step, bool last, const std::function<bool()>& cut_short) {
  if (!last && step % config_.eval_steps != 0) return Outcome::go_on;
  if (recorded() >= step) return Outcome::go_on;
  bool ended = false;
  const EvaluationBatching batching{static_cast<std::size_t>(config_.per_device_eval_batch_size),
                                    static_cast<std::size_t>(config_.compute.micro_batch_tokens),
                                    static_cast<std::size_t>(config_.max_eval_samples), [&] { return ended = cut_short(); }};
  Figures figures;
  for (std::size_t s = 0; s < names_.size(); ++s) {
    const std::vector<SequenceFigures> sequences = evaluate_split(model, splits_[s], batching);
    if (ended) return Outcome::cut_short;
    check_finite(fmt::format("step {}", step), names_[s], sequences);
    figures[names_[s]] = summarise_split(sequences);
  }
  const bool stop = !on_root(runtime_, [&] {
                       record(step, figures);
                       const auto now = [&](const auto& figure) { return value(figure, figures); };
                       return std::string(condition_ && condition_->holds(now) ? "stop" : "");
                     }).empty();
  return stop ? Outcome::stop : Outcome::go_on;
}

#define EXPUNGE_MONITOR(T) \
  template Monitor::Outcome Monitor::evaluate(Llama<T>&, std::int64_t, bool, const std::function<bool()>&);
EXPUNGE_MONITOR(float)
EXPUNGE_MONITOR(bf16)
EXPUNGE_MONITOR(double)
#undef EXPUNGE_MONITOR

}  // namespace expunge
