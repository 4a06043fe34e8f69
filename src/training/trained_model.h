// The model of a run and its optimizer during training, and their state as a checkpoint stores it.
#pragma once

#include "model/llama.h"
#include "run/options.h"
#include "store/checkpoint.h"
#include "store/weights.h"
#include "training/optimizer.h"

namespace expunge {

template <Element T>
StateShards<acc_t<T>> state_of(ShardedParams<T>& params, Optimizer<T>& optimizer) {
  StateShards<acc_t<T>> state;
  for (int unit = 0; unit < params.units(); ++unit) {
    state.units.push_back(params.layout(unit));
    state.parameters.push_back(params.master(unit));
    state.exp_avg.push_back(optimizer.exp_avg(unit));
    state.exp_avg_sq.push_back(optimizer.exp_avg_sq(unit));
  }
  return state;
}

template <Element T>
struct TrainedModel {
  TrainedModel(const Runtime& runtime, const LlamaConfig& config, const std::vector<UnitLayout>& units,
               const ShardingOptions& sharding, Recompute recompute, const OptimizerOptions& options)
      : params(runtime, units, sharding, true),
        optimizer(params, options),
        state(state_of(params, optimizer)),
        model(config, params, recompute) {}

  ShardedParams<T> params;
  Optimizer<T> optimizer;
  StateShards<acc_t<T>> state;
  Llama<T> model;
};

}  // namespace expunge
