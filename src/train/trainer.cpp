// The optimizer step.
#include "expunge/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>

#include "expunge/core/error.h"
#include "expunge/train/schedule.h"

namespace expunge {

RunLength::RunLength(const TrainConfig& config, std::size_t items)
    : global_batch(config.global_batch_size),
      samples(config.max_steps > 0 ? config.max_steps * global_batch
                                   : static_cast<std::int64_t>(std::ceil(static_cast<double>(items) * config.num_train_epochs))),
      steps((samples + global_batch - 1) / global_batch) {}

int largest_micro_batch(const TrainConfig& config, const TrainingData& data) {
  const auto longest = static_cast<std::int64_t>(data.longest());
  const std::int64_t packed = config.compute.micro_batch_tokens;
  return static_cast<int>(packed > 0 ? std::max(longest, packed) : longest * config.per_device_train_batch_size);
}

/// What a step adds up over micro-batches, then over ranks.
template <Element T>
struct Trainer<T>::Sums {
  std::array<double, 3> values{};
  double& loss() { return values[0]; }
  double& forget() { return values[1]; }  // of the sequences' mean nll
  double& retain() { return values[2]; }
};

template <Element T>
Trainer<T>::Trainer(const TrainConfig& config, Llama<T>& model, Optimizer<T>& optimizer, const Objective& objective,
                    TrainingData& data)
    : config_(config),
      model_(model),
      optimizer_(optimizer),
      objective_(objective),
      data_(data),
      length_(config, data.items()),
      warmup_(warmup_length(config, length_.steps)) {}

template <Element T>
std::vector<std::size_t> Trainer<T>::step_items() {
  std::vector<std::size_t> items;
  for (std::int64_t at = length_.samples_after(optimizer_.steps); at < length_.samples_after(optimizer_.steps + 1); ++at)
    items.push_back(data_.item(static_cast<std::uint64_t>(at)));
  return items;
}

template <Element T>
Scope Trainer<T>::count(const std::vector<std::size_t>& items) const {
  Scope scope;
  for (const std::size_t item : items) {
    RoleCount& role = data_.role(item) == Role::forget ? scope.forget : scope.retain;
    role.sequences += 1;
    role.tokens += static_cast<double>(data_.length(item) - 1);
  }
  return scope;
}

template <Element T>
StepMetrics Trainer<T>::step() {
  const auto began = std::chrono::steady_clock::now();
  ShardedParams<T>& params = model_.params();
  const Runtime& runtime = params.runtime();
  const std::vector<std::size_t> items = step_items();
  const Scope scope = count(items);
  std::vector<std::size_t> lengths(items.size());
  std::transform(items.begin(), items.end(), lengths.begin(), [&](std::size_t item) { return data_.length(item); });
  const StepPlan plan = plan_step(lengths, runtime.comm.size(), static_cast<std::size_t>(config_.per_device_train_batch_size),
                                  static_cast<std::size_t>(config_.compute.micro_batch_tokens));

  params.begin_step();
  Sums sums;
  const auto& rounds = plan[static_cast<std::size_t>(runtime.comm.rank())];
  for (const std::vector<std::size_t>& round : rounds) {
    if (&round == &rounds.back()) params.last_micro_batch();
    std::vector<std::size_t> mine(round.size());
    std::transform(round.begin(), round.end(), mine.begin(), [&](std::size_t i) { return items[i]; });
    micro_batch(mine, scope, sums);
  }
  params.finish_gradients();
  all_reduce(runtime, sums.values, Reduce::sum);

  StepMetrics metrics{};
  metrics.step = optimizer_.steps + 1;
  metrics.loss = sums.loss();
  metrics.loss_forget = sums.forget() / scope.forget.sequences;  // 0 / 0: not a number, as documented
  metrics.loss_retain = sums.retain() / scope.retain.sequences;
  metrics.learning_rate = config_.learning_rate * schedule_factor(config_.schedule, optimizer_.steps, warmup_, length_.steps);
  metrics.grad_norm = optimizer_.gradient_norm();
  if (!std::isfinite(metrics.loss) || !std::isfinite(metrics.grad_norm))
    fail(ExitCode::collapse, fmt::format("step {}: loss {} and gradient norm {} are not finite; the weights of the last "
                                         "checkpoint are good: resume with a smaller --learning-rate in a new --output-dir",
                                         metrics.step, metrics.loss, metrics.grad_norm));
  optimizer_.step(metrics.learning_rate, metrics.grad_norm);

  for (const std::size_t length : lengths) metrics.tokens += static_cast<std::int64_t>(length);
  metrics.tokens_per_second =
      static_cast<double>(metrics.tokens) / std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return metrics;
}

template <Element T>
void Trainer<T>::micro_batch(const std::vector<std::size_t>& items, const Scope& scope, Sums& sums) {
  TokenBatch batch;
  std::vector<double> weights;
  for (const std::size_t item : items) {
    batch.append(data_.ids(item));
    const auto targets = static_cast<double>(data_.length(item) - 1);
    double weight = 0;
    for (const Term& term : objective_.terms())
      if (term.role == data_.role(item)) weight += objective_.constant_weight(term, targets, scope);
    weights.resize(batch.ids.size(), weight);
  }
  const TokenScores<acc_t<T>> scores = model_.forward_backward(batch, weights);
  for (int s = 0; s < batch.sequences(); ++s) {
    double nll = 0;
    const auto first = static_cast<std::size_t>(batch.offsets[static_cast<std::size_t>(s)]);
    const auto targets = static_cast<std::size_t>(batch.targets(s));
    for (std::size_t t = first; t < first + targets; ++t) nll += static_cast<double>(scores.nll[t]);
    sums.loss() += weights[first] * nll;
    double& role = data_.role(items[static_cast<std::size_t>(s)]) == Role::forget ? sums.forget() : sums.retain();
    role += nll / static_cast<double>(targets);
  }
}

template class Trainer<float>;
template class Trainer<bf16>;
template class Trainer<double>;

}  // namespace expunge
