// AdamW over shards of the parameters.
#include "training/optimizer.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// RE2 matches in time linear in the name, so no pattern can block the run.
std::unique_ptr<RE2> parse_pattern(const std::string& text) {
  constexpr std::size_t kLongest = 1000;         // characters
  constexpr std::int64_t kMostMemory = 1 << 20;  // bytes of the compiled pattern, because they limit the time per character
  if (text.size() > kLongest)
    fail(ExitCode::usage,
         fmt::format("--trainable: expected a pattern of at most {} characters, found {}", kLongest, text.size()));
  RE2::Options options(RE2::Latin1);
  options.set_log_errors(false);
  options.set_max_mem(kMostMemory);
  auto pattern = std::make_unique<RE2>(text, options);
  if (!pattern->ok())
    fail(ExitCode::usage, fmt::format("--trainable '{}': expected a regular expression in RE2's syntax, without lookahead and "
                                      "backreferences: {}",
                                      excerpt(text), pattern->error()));
  return pattern;
}

}  // namespace

std::set<std::string> fixed_parameters(const std::string& pattern, const std::vector<UnitLayout>& units) {
  std::set<std::string> fixed;
  if (pattern.empty()) return fixed;
  const std::unique_ptr<RE2> trained = parse_pattern(pattern);
  bool any = false;
  for (const UnitLayout& unit : units)
    for (const ParameterView& view : unit.views())
      if (RE2::FullMatch(view.name, *trained))
        any = true;
      else
        fixed.insert(view.name);
  if (!any)
    fail(ExitCode::usage,
         fmt::format("--trainable '{}' matches no parameter: it must match a whole name, as '.*layers\\.[012]\\.mlp.*' does; "
                     "a name is {}",
                     excerpt(pattern), *std::prev(fixed.end())));
  return fixed;
}

template <Element T>
Optimizer<T>::Optimizer(ShardedParams<T>& params, const OptimizerOptions& options)
    : params_(params),
      kernels_(kernels<T>(params.runtime().device)),
      beta1_(options.beta1),
      beta2_(options.beta2),
      epsilon_(options.epsilon),
      weight_decay_(options.weight_decay),
      max_grad_norm_(options.max_grad_norm),
      round_to_bf16_(options.bf16_master_weights),
      squares_(params.runtime().device, 1) {
  for (int unit = 0; unit < params.units(); ++unit)
    for (auto* moments : {&exp_avg_, &exp_avg_sq_}) {
      moments->emplace_back(params.runtime().device, params.layout(unit).shard_size());
      zero_bytes(params.runtime().compute, moments->back().data(), moments->back().bytes());
    }
  std::vector<UnitLayout> units;
  for (int unit = 0; unit < params.units(); ++unit) units.push_back(params.layout(unit));
  fixed_ = fixed_parameters(options.trainable, units);
}

template <Element T>
std::vector<ParameterSlice> Optimizer<T>::trained_slices(int unit) const {
  std::vector<ParameterSlice> slices = params_.layout(unit).slices(params_.runtime().comm.rank());
  std::erase_if(slices, [&](const ParameterSlice& slice) { return fixed_.contains(slice.view->name); });
  return slices;
}

template <Element T>
double Optimizer<T>::gradient_norm() {
  Stream& stream = params_.runtime().compute;
  zero_bytes(stream, squares_.data(), squares_.bytes());
  for (int unit = 0; unit < params_.units(); ++unit) {
    for (const ParameterSlice& slice : trained_slices(unit))
      kernels_.sum_of_squares(stream, squares_.data(), params_.gradient(unit).data() + slice.offset, slice.count);
  }
  double sum = 0;
  copy_to_host(stream, &sum, squares_.data(), sizeof(sum));
  stream.synchronize();
  return std::sqrt(all_reduce(params_.runtime(), sum, Reduce::sum));
}

template <Element T>
void Optimizer<T>::step(double learning_rate, double norm) {
  ++steps;
  AdamWStep update{};
  update.learning_rate = learning_rate;
  update.beta1 = beta1_;
  update.beta2 = beta2_;
  update.epsilon = epsilon_;
  update.bias_correction1 = 1 - std::pow(beta1_, static_cast<double>(steps));
  update.bias_correction2 = 1 - std::pow(beta2_, static_cast<double>(steps));
  update.gradient_scale = max_grad_norm_ > 0 ? std::min(1.0, max_grad_norm_ / (norm + 1e-6)) : 1;
  update.round_to_bf16 = round_to_bf16_;
  for (int unit = 0; unit < params_.units(); ++unit) {
    for (const ParameterSlice& slice : trained_slices(unit)) {
      update.weight_decay = slice.view->decays ? weight_decay_ : 0;
      kernels_.adamw(params_.runtime().compute, params_.master(unit).data() + slice.offset, exp_avg(unit).data() + slice.offset,
                     exp_avg_sq(unit).data() + slice.offset, params_.gradient(unit).data() + slice.offset, slice.count, update);
    }
  }
  params_.weights_changed();
}

template class Optimizer<float>;
template class Optimizer<bf16>;
template class Optimizer<double>;

}  // namespace expunge
