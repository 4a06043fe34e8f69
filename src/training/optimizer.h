// AdamW over the shards of a model.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "fsdp/sharded_params.h"
#include "run/options.h"

namespace expunge {

/// Names of the parameters that `pattern`, --trainable's regular expression, does not match as a whole. An empty pattern fixes
/// none. Throws Error(usage) for a bad expression or one that matches no parameter.
std::set<std::string> fixed_parameters(const std::string& pattern, const std::vector<UnitLayout>& units);

template <Element T>
class Optimizer {
 public:
  using A = acc_t<T>;
  /// Leaves fixed_parameters() unchanged.
  Optimizer(ShardedParams<T>& params, const OptimizerOptions& options);

  /// Norm of the gradient of all trained parameters, over all ranks and units. Collective.
  double gradient_norm();
  /// Updates every trained master weight from its gradient. If `norm` exceeds max_grad_norm, the gradient is scaled by
  /// max_grad_norm / (norm + 1e-6), as in torch.nn.utils.clip_grad_norm_. Gathered weights become stale.
  void step(double learning_rate, double norm);

  /// Number of updates so far; set on resume.
  std::int64_t steps = 0;
  std::span<A> exp_avg(int unit) { return moment(exp_avg_, unit); }
  std::span<A> exp_avg_sq(int unit) { return moment(exp_avg_sq_, unit); }

 private:
  static std::span<A> moment(std::vector<Buffer<A>>& buffers, int unit) {
    auto& buffer = buffers[static_cast<std::size_t>(unit)];
    return {buffer.data(), buffer.size()};
  }

  /// This rank's slices of a unit's trained parameters.
  std::vector<ParameterSlice> trained_slices(int unit) const;

  ShardedParams<T>& params_;
  const Kernels<T>& kernels_;
  std::set<std::string> fixed_;  // names of parameters
  double beta1_, beta2_, epsilon_, weight_decay_, max_grad_norm_;
  bool round_to_bf16_;
  Buffer<double> squares_;  // sum over this rank's gradients
  std::vector<Buffer<A>> exp_avg_, exp_avg_sq_;
};

}  // namespace expunge
