// Scores a split over all ranks.
#include "inference/scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/batches.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// The scores of sequence s in a scored batch.
template <typename A>
TargetScores target_scores(const TokenBatch& batch, const TokenScores<A>& scores, int s) {
  const auto first = batch.offsets[static_cast<std::size_t>(s)];
  const auto n = static_cast<std::size_t>(batch.targets(s));
  const auto part = [&](const std::vector<A>& values) {
    if (values.empty()) return std::vector<double>();
    return std::vector<double>(values.begin() + first, values.begin() + first + batch.targets(s));
  };
  TargetScores result{part(scores.nll), std::vector<std::uint8_t>(n), part(scores.mean), part(scores.variance)};
  for (std::size_t t = 0; t < n; ++t) {
    result.log_prob[t] = -result.log_prob[t];
    const std::size_t at = static_cast<std::size_t>(first) + t;
    result.hit[t] = scores.predictions[at] == batch.labels[at];
  }
  return result;
}

}  // namespace

std::vector<std::string> evaluation_splits(const TokenFile& tokens, const std::string& domain,
                                           const std::vector<std::string>& asked) {
  static const std::string kGeneral = "general/evaluation";
  std::vector<std::string> splits;
  for (const std::string& split : asked) splits.push_back(full_split_name(domain, split));
  if (!splits.empty()) return splits;
  for (const std::string& split : tokens.splits(domain)) splits.push_back(domain + "/" + split);
  if (domain != "general" && tokens.has(kGeneral)) splits.push_back(kGeneral);
  return splits;
}

template <Element T>
std::vector<std::vector<double>> score_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching,
                                             const Summary& summary) {
  const Runtime& runtime = model.params().runtime();
  const std::size_t all = split.sequences(), width = summary.width;
  const std::size_t n = batching.max_samples > 0 ? std::min(batching.max_samples, all) : all;
  std::vector<std::size_t> lengths(n);
  for (std::size_t i = 0; i < n; ++i) lengths[i] = split.length(i);
  const BatchDeal deal = deal_batches(lengths, runtime.comm.size(), batching.batch_size, batching.micro_batch_tokens);

  // Each rank fills in its own sequences; the sum over ranks completes the table.
  std::vector<double> table(width * n);
  for (const std::vector<std::size_t>& mine : deal[static_cast<std::size_t>(runtime.comm.rank())]) {
    if (batching.cut_short && batching.cut_short()) return {};
    TokenBatch batch;
    for (const std::size_t i : mine) batch.append(split.ids(i));
    const auto scores = model.score(batch, summary.moments);
    for (std::size_t s = 0; s < mine.size(); ++s) {
      const std::vector<double> row = summary.row(target_scores(batch, scores, static_cast<int>(s)));
      check(row.size() == width, "a summary has its width");
      std::copy(row.begin(), row.end(), table.begin() + static_cast<std::ptrdiff_t>(width * mine[s]));
    }
  }
  all_reduce(runtime, table, Reduce::sum);
  std::vector<std::vector<double>> rows;
  for (auto begin = table.begin(); begin != table.end(); begin += static_cast<std::ptrdiff_t>(width))
    rows.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(width));
  return rows;
}

template <Element T>
std::vector<SequenceMetrics> evaluate_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching) {
  const Summary summary{sequence_values().size() + 1, Moments::leave_out, [](const TargetScores& scores) {
                          const SequenceMetrics sequence = summarise_sequence(scores);
                          std::vector<double> row = sequence.values;
                          row.push_back(static_cast<double>(sequence.targets));
                          return row;
                        }};
  std::vector<SequenceMetrics> result;
  for (std::vector<double>& row : score_split(model, split, batching, summary)) {
    const auto targets = static_cast<std::uint64_t>(row.back());
    row.pop_back();
    result.push_back({targets, std::move(row)});
  }
  return result;
}

void check_finite(const std::string& model, const std::string& split, const std::vector<SequenceMetrics>& sequences) {
  for (std::size_t i = 0; i < sequences.size(); ++i)
    if (!std::isfinite(sequences[i]["nll"]))
      fail(ExitCode::collapse,
           fmt::format("{}: the mean nll of {}, sequence {}, is not finite: the model has collapsed", model, split, i));
}

#define EXPUNGE_EVALUATE(T)                                                                                      \
  template std::vector<std::vector<double>> score_split(Llama<T>&, const TokenSplit&, const EvaluationBatching&, \
                                                        const Summary&);                                         \
  template std::vector<SequenceMetrics> evaluate_split(Llama<T>&, const TokenSplit&, const EvaluationBatching&);
EXPUNGE_EVALUATE(float)
EXPUNGE_EVALUATE(bf16)
EXPUNGE_EVALUATE(double)
#undef EXPUNGE_EVALUATE

}  // namespace expunge
