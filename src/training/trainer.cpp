// Takes an optimizer step.
#include "training/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <tuple>

#include "expunge/error.h"
#include "training/loss_batch.h"
#include "training/schedule.h"

namespace expunge {

namespace {

/// The forget signal of an objective over distances of a block's output; nothing for other objectives.
std::optional<Signal> layer_signal(const Objective& objective) {
  for (const Term& term : objective.terms())
    if (term.signal.kind == Signal::Kind::distance && term.role == Role::forget) return term.signal;
  return std::nullopt;
}

/// A number for a message: NaN without the sign that some processors set.
double shown(double x) { return std::isnan(x) ? std::numeric_limits<double>::quiet_NaN() : x; }

}  // namespace

/// Sums of a step, over micro-batches and then over ranks.
template <Element T>
struct Trainer<T>::Sums {
  std::array<double, 3> values{};
  double& loss() { return values[0]; }
  double& forget() { return values[1]; }  // sum of the sequences' mean nll
  double& retain() { return values[2]; }
  double first_bad = std::numeric_limits<double>::infinity();  // the lowest item whose loss is not finite
};

template <Element T>
Trainer<T>::Trainer(const RunLength& length, TrainerOptions options, Llama<T>& model, Optimizer<T>& optimizer,
                    TrainingInputs<T> inputs)
    : options_(std::move(options)),
      model_(model),
      optimizer_(optimizer),
      inputs_(std::move(inputs)),
      length_(length),
      warmup_(warmup_length(options_.schedule, length_.steps)) {}

template <Element T>
std::vector<std::size_t> Trainer<T>::step_items(std::int64_t step) {
  std::vector<std::size_t> items;
  for (std::int64_t at = length_.samples_after(step); at < length_.samples_after(step + 1); ++at)
    items.push_back(inputs_.data.item(length_.place(at)));
  return items;
}

template <Element T>
BatchDeal Trainer<T>::deal(const std::vector<std::size_t>& items) const {
  std::vector<std::size_t> lengths(items.size());
  std::transform(items.begin(), items.end(), lengths.begin(), [&](std::size_t item) { return inputs_.data.length(item); });
  return deal_batches(lengths, model_.params().runtime().comm.size(), static_cast<std::size_t>(options_.batch.per_device),
                      static_cast<std::size_t>(options_.batch.micro_batch_tokens));
}

template <Element T>
Scope Trainer<T>::count(const std::vector<std::size_t>& items) const {
  Scope scope;
  for (const std::size_t item : items) {
    RoleCount& role = inputs_.data.role(item) == Role::forget ? scope.forget : scope.retain;
    role.sequences += 1;
    role.tokens += static_cast<double>(inputs_.data.targets(item));
  }
  scope.sequences = length_.divide_by_global_batch ? static_cast<double>(length_.global_batch)
                                                   : scope.forget.sequences + scope.retain.sequences;
  return scope;
}

template <Element T>
bool Trainer<T>::uses_reference(Role role) const {
  const std::vector<Term> terms = inputs_.objective.terms();
  return std::ranges::any_of(terms, [&](const Term& term) { return term.role == role && term.signal.uses_reference(); });
}

template <Element T>
double Trainer<T>::seconds_left(std::size_t round, std::size_t rounds, double since_start) const {
  // The first micro-batch of a run touches fresh memory, so its time does not predict the others.
  const double each = round > 1 ? (since_start - first_seconds_) / static_cast<double>(round - 1) : micro_batch_seconds_;
  return each * static_cast<double>(rounds - round) + update_seconds_;
}

template <Element T>
std::optional<StepMetrics> Trainer<T>::step(const DropStep& drop) {
  const auto began = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  ShardedParams<T>& params = model_.params();
  const Runtime& runtime = params.runtime();
  const std::vector<std::size_t> items = step_items(optimizer_.steps);
  const Scope scope = count(items);
  const BatchDeal deal = this->deal(items);

  params.begin_step();
  Sums sums;
  const auto& mine = deal[static_cast<std::size_t>(runtime.comm.rank())];
  for (std::size_t round = 0; round < mine.size(); ++round) {
    if (round == 1) first_seconds_ = seconds();
    if (drop && drop(seconds_left(round, mine.size(), seconds()))) {
      params.finish_gradients();  // because running reductions read buffers that go out of scope
      return std::nullopt;
    }
    if (round + 1 == mine.size()) params.last_micro_batch();
    run_round(deal, round, items, scope, sums);
  }
  const double micro_batches_end = seconds();
  params.finish_gradients();
  all_reduce(runtime, sums.values, Reduce::sum);

  StepMetrics metrics{};
  metrics.step = optimizer_.steps + 1;
  metrics.loss = sums.loss();
  metrics.loss_forget = sums.forget() / scope.forget.sequences;  // 0 / 0 is NaN, as documented
  metrics.loss_retain = sums.retain() / scope.retain.sequences;
  metrics.learning_rate =
      options_.schedule.learning_rate * schedule_factor(options_.schedule.type, optimizer_.steps, warmup_, length_.steps);
  metrics.grad_norm = optimizer_.gradient_norm();
  if (!std::isfinite(metrics.loss) || !std::isfinite(metrics.grad_norm)) {
    const double bad = all_reduce(runtime, sums.first_bad, Reduce::min);
    refuse_to_go_on(metrics, std::isfinite(bad) ? fmt::format("the loss of {} is the first that is not finite",
                                                              inputs_.data.describe(static_cast<std::size_t>(bad)))
                                                : find_bad_gradient(deal, items, scope));
  }
  guard_against_collapse(metrics);
  optimizer_.step(metrics.learning_rate, metrics.grad_norm);

  for (const std::size_t item : items) metrics.tokens += static_cast<std::int64_t>(inputs_.data.length(item));
  metrics.tokens_per_second = static_cast<double>(metrics.tokens) / seconds();
  micro_batch_seconds_ = micro_batches_end / static_cast<double>(mine.size());
  update_seconds_ = seconds() - micro_batches_end;
  return metrics;
}

/// Runs one micro-batch on every rank.
template <Element T>
void Trainer<T>::run_round(const BatchDeal& deal, std::size_t round, const std::vector<std::size_t>& items, const Scope& scope,
                           Sums& sums) {
  const auto& mine = deal[static_cast<std::size_t>(model_.params().runtime().comm.rank())][round];
  std::vector<std::size_t> own(mine.size());
  std::transform(mine.begin(), mine.end(), own.begin(), [&](std::size_t i) { return items[i]; });
  // Gathering the reference model's units is collective, so all ranks must do it or none.
  const bool with_reference = std::ranges::any_of(deal, [&](const auto& rank) {
    return std::ranges::any_of(rank[round], [&](std::size_t i) { return uses_reference(inputs_.data.role(items[i])); });
  });
  micro_batch(std::move(own), scope, with_reference, sums);
}

/// Names the sequences of the first micro-batches with a gradient that is not finite, when every loss is finite. A step keeps
/// only the gradient's sum, so this repeats its micro-batches, one per rank at a time.
template <Element T>
std::string Trainer<T>::find_bad_gradient(const BatchDeal& deal, const std::vector<std::size_t>& items, const Scope& scope) {
  constexpr std::size_t kNamed = 16;
  ShardedParams<T>& params = model_.params();
  for (std::size_t round = 0; round < deal.front().size(); ++round) {
    params.begin_step();
    params.last_micro_batch();
    Sums ignored;
    run_round(deal, round, items, scope, ignored);
    params.finish_gradients();
    if (std::isfinite(optimizer_.gradient_norm())) continue;
    std::vector<std::string> names;
    for (const auto& rank : deal)
      for (const std::size_t i : rank[round]) names.push_back(inputs_.data.describe(items[i]));
    const std::size_t more = names.size() - std::min(names.size(), kNamed);
    names.resize(names.size() - more);
    return fmt::format("every sequence's loss is finite; the first gradient that is not belongs to {}{}",
                       fmt::join(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
  }
  return "every sequence's loss and every micro-batch's gradient is finite, but not their sum";
}

template <Element T>
void Trainer<T>::refuse_to_go_on(const StepMetrics& metrics, const std::string& culprit) const {
  // Before the first update, the cause is the given model or a term of the loss with too large a weight.
  const char* const advice =
      optimizer_.steps == 0
          ? "the model is as it was given: its weights are not finite or too large for --dtype, or a weight of the loss is too "
            "large; try --dtype float32, and check the model with expunge eval"
          : "the weights were not updated; start again with a smaller --learning-rate in a new --output-dir";
  fail(ExitCode::collapse, fmt::format("step {}: loss {} and gradient norm {} are not both finite; {}; {}", metrics.step,
                                       shown(metrics.loss), shown(metrics.grad_norm), culprit, advice));
}

template <Element T>
bool Trainer<T>::has_collapsed(double nll) const {
  return options_.collapse_guard > 0 && nll > options_.collapse_guard * std::log(model_.config().vocab_size);
}

template <Element T>
std::string Trainer<T>::describe_collapse(const char* role, double nll) const {
  return fmt::format(
      "the model has collapsed: the mean nll of {} sequences is {:.4g}, {:.2g} times that of guessing (ln of {} ids), and "
      "--collapse-guard allows {}",
      role, nll, nll / std::log(model_.config().vocab_size), model_.config().vocab_size, options_.collapse_guard);
}

template <Element T>
void Trainer<T>::guard_against_collapse(const StepMetrics& metrics) const {
  for (const auto& [role, name, nll] :
       {std::tuple{Role::forget, "forget", metrics.loss_forget}, std::tuple{Role::retain, "retain", metrics.loss_retain}}) {
    // The nll of replaced labels rises the better a model knows the text, so it does not show a collapse.
    if (!has_collapsed(nll) || inputs_.data.labels_replaced(role)) continue;
    fail(ExitCode::collapse,
         fmt::format("step {}: {}; the weights were not updated; start again with a smaller --learning-rate or fewer steps, or "
                     "end earlier with --stop-at",
                     metrics.step, describe_collapse(name, nll)));
  }
}

template <Element T>
void Trainer<T>::check_update() {
  if (optimizer_.steps == 0) return;
  const Runtime& runtime = model_.params().runtime();
  const std::vector<std::size_t> items = step_items(optimizer_.steps - 1);
  const BatchDeal deal = this->deal(items);
  std::vector<std::size_t> own;
  for (const std::size_t i : deal[static_cast<std::size_t>(runtime.comm.rank())].front()) own.push_back(items[i]);
  TokenBatch batch;
  for (const std::size_t item : own) batch.append(inputs_.data.ids(item));
  const TokenScores<acc_t<T>> scores = model_.score(batch);
  std::array<double, 4> sums{};                                // nll and targets of forget, then of retain
  double first_bad = std::numeric_limits<double>::infinity();  // the lowest item whose nll is not finite
  for (std::size_t s = 0; s < own.size(); ++s) {
    const std::size_t at = inputs_.data.role(own[s]) == Role::forget ? 0 : 2;
    double nll = 0;
    for (auto t = static_cast<std::size_t>(batch.offsets[s]); t < static_cast<std::size_t>(batch.offsets[s + 1]); ++t)
      nll += static_cast<double>(scores.nll[t]);  // 0 if t has no target
    if (!std::isfinite(nll)) first_bad = std::min(first_bad, static_cast<double>(own[s]));
    sums[at] += nll;
    sums[at + 1] += static_cast<double>(batch.targets(static_cast<int>(s)));
  }
  all_reduce(runtime, sums, Reduce::sum);
  first_bad = all_reduce(runtime, first_bad, Reduce::min);
  if (std::isfinite(first_bad))
    fail(ExitCode::collapse,
         fmt::format(
             "after step {}: the nll of {} is not finite: the model has collapsed; this state was not saved; start again "
             "with a smaller --learning-rate or fewer steps",
             optimizer_.steps, inputs_.data.describe(static_cast<std::size_t>(first_bad))));
  for (const auto& [name, at] : {std::pair{"forget", 0U}, std::pair{"retain", 2U}}) {
    const double nll = sums[at + 1] > 0 ? sums[at] / sums[at + 1] : 0;
    if (!has_collapsed(nll)) continue;
    fail(ExitCode::collapse,
         fmt::format("after step {}: {}; this state was not saved; start again with a smaller --learning-rate or fewer steps",
                     optimizer_.steps, describe_collapse(name, nll)));
  }
}

template <Element T>
void Trainer<T>::micro_batch(std::vector<std::size_t> items, const Scope& scope, bool with_reference, Sums& sums) {
  const LossBatch batch(inputs_.data, std::move(items), inputs_.objective, inputs_.reference_nll, scope);
  Llama<T>* const reference = with_reference ? inputs_.reference : nullptr;
  auto weights = batch.constant_weights();
  TokenScores<acc_t<T>> scores;
  if (const std::optional<Signal> at_layer = layer_signal(inputs_.objective)) {
    scores = model_.forward_backward(batch.tokens(),
                                     LayerLossSpec<T>{at_layer->layer, batch.rows(), *weights, inputs_.control, reference});
  } else {
    LossSpec<T> spec{batch.rows(), {}, nullptr, reference};
    if (weights)
      spec.weights = std::move(*weights);
    else
      spec.weigh = [&](const TokenScores<acc_t<T>>& first) {
        std::vector<double> made;
        batch.evaluate(first, &made);
        return made;
      };
    scores = model_.forward_backward(batch.tokens(), spec);
  }
  for (const LossBatch::Part& part : batch.evaluate(scores, nullptr)) {
    sums.loss() += part.loss;
    double& nll = inputs_.data.role(part.item) == Role::forget ? sums.forget() : sums.retain();
    nll += part.nll;
    if (!std::isfinite(part.loss)) sums.first_bad = std::min(sums.first_bad, static_cast<double>(part.item));
  }
}

template class Trainer<float>;
template class Trainer<bf16>;
template class Trainer<double>;

}  // namespace expunge
