// Turns the signals of packed sequences into losses, and the losses into weights of tokens.
#include "training/loss_batch.h"

#include <algorithm>
#include <limits>

#include "expunge/error.h"

namespace expunge {
namespace {

Term term_of(const Objective& objective, Role role) {
  const std::vector<Term> terms = objective.terms();
  const auto found = std::ranges::find(terms, role, &Term::role);
  check(found != terms.end(), "an item has a role that the objective does not use");
  return *found;
}

}  // namespace

LossBatch::LossBatch(const TrainingData& data, std::vector<std::size_t> items, const Objective& objective,
                     const std::vector<double>& reference_nll, const Scope& scope)
    : objective_(objective), scope_(scope) {
  std::ranges::stable_partition(items, [&](std::size_t i) { return term_of(objective, data.role(i)).signal.uses_reference(); });
  for (const std::size_t item : items) {
    const Term term = term_of(objective, data.role(item));
    const int begin = batch_.tokens();
    batch_.append(data.ids(item), data.labels(item));
    if (rows_.empty() || sequences_.back().term.role != term.role) rows_.push_back({begin, begin, term.signal});
    rows_.back().end = batch_.tokens();
    const bool scored = term.role == Role::forget && !reference_nll.empty();
    Sequence sequence{item, term, scored ? reference_nll[data.sequence(item)] : 0, {}};
    for (auto t = static_cast<std::size_t>(begin); t < batch_.ids.size(); ++t)
      if (batch_.labels[t] >= 0 || term.signal.every_position) sequence.positions.push_back(t);
    sequences_.push_back(std::move(sequence));
  }
}

std::optional<std::vector<double>> LossBatch::constant_weights() const {
  std::vector<double> weights(batch_.ids.size());
  for (const Sequence& sequence : sequences_) {
    const auto weight = objective_.constant_weight(sequence.term, static_cast<double>(sequence.positions.size()), scope_);
    if (!weight) return std::nullopt;
    for (const std::size_t t : sequence.positions) weights[t] = *weight;
  }
  return weights;
}

template <typename A>
std::vector<LossBatch::Part> LossBatch::evaluate(const TokenScores<A>& scores, std::vector<double>* weights) const {
  if (weights) weights->assign(batch_.ids.size(), 0);
  std::vector<Part> parts;
  std::vector<double> signals, gradient;
  for (const Sequence& sequence : sequences_) {
    signals.clear();
    double nll = 0, targets = 0;
    for (const std::size_t t : sequence.positions) {
      signals.push_back(static_cast<double>(scores.signal[t]));
      if (scores.nll.empty() || batch_.labels[t] < 0) continue;
      nll += static_cast<double>(scores.nll[t]);
      targets += 1;
    }
    gradient.resize(signals.size());
    const double loss =
        objective_.evaluate(sequence.term, {sequence.term.role, signals, sequence.reference_nll}, scope_, gradient);
    parts.push_back({sequence.item, loss, nll / targets});
    if (weights)
      for (std::size_t i = 0; i < gradient.size(); ++i) (*weights)[sequence.positions[i]] = gradient[i];
  }
  return parts;
}

template std::vector<LossBatch::Part> LossBatch::evaluate(const TokenScores<float>&, std::vector<double>*) const;
template std::vector<LossBatch::Part> LossBatch::evaluate(const TokenScores<double>&, std::vector<double>*) const;

}  // namespace expunge
