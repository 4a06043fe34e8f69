// Evaluating a split over all ranks.
#include "expunge/train/evaluator.h"

#include <algorithm>
#include <array>

#include "expunge/data/batches.h"

namespace expunge {
namespace {

/// Figures of a scored batch's sequence s.
template <typename A>
SequenceFigures figures(const TokenBatch& batch, const TokenScores<A>& scores, int s) {
  const auto first = static_cast<std::size_t>(batch.offsets[static_cast<std::size_t>(s)]);
  const auto targets = static_cast<std::size_t>(batch.targets(s));
  std::vector<double> nll(targets);
  std::vector<std::uint8_t> hits(targets);
  for (std::size_t t = 0; t < targets; ++t) {
    nll[t] = static_cast<double>(scores.nll[first + t]);
    hits[t] = scores.predictions[first + t] == batch.labels[first + t];
  }
  return summarise_sequence(nll, hits);
}

}  // namespace

std::vector<std::string> evaluation_splits(const TokenFile& tokens, const std::string& domain,
                                           const std::vector<std::string>& asked) {
  static const std::string kGeneral = "general/evaluation";
  std::vector<std::string> splits;
  for (const std::string& split : asked) splits.push_back(split.find('/') == std::string::npos ? domain + "/" + split : split);
  if (!splits.empty()) return splits;
  for (const std::string& split : tokens.splits(domain)) splits.push_back(domain + "/" + split);
  if (domain != "general" && tokens.has(kGeneral)) splits.push_back(kGeneral);
  return splits;
}

template <Element T>
std::vector<SequenceFigures> evaluate_split(Llama<T>& model, const TokenSplit& split, const EvaluationBatching& batching) {
  const Runtime& runtime = model.params().runtime();
  const std::size_t all = split.sequences();
  const std::size_t n = batching.max_samples > 0 ? std::min(batching.max_samples, all) : all;
  std::vector<std::size_t> lengths(n);
  for (std::size_t i = 0; i < n; ++i) lengths[i] = split.length(i);
  const StepPlan plan = plan_step(lengths, runtime.comm.size(), batching.batch_size, batching.micro_batch_tokens);

  // Each rank fills in its own sequences; the sum over ranks is the whole.
  std::vector<double> table(3 * n);
  for (const std::vector<std::size_t>& mine : plan[static_cast<std::size_t>(runtime.comm.rank())]) {
    TokenBatch batch;
    for (const std::size_t i : mine) batch.append(split.ids(i));
    const auto scores = model.score(batch);
    for (std::size_t s = 0; s < mine.size(); ++s) {
      const SequenceFigures f = figures(batch, scores, static_cast<int>(s));
      const std::array<double, 3> row{f.nll, f.accuracy, static_cast<double>(f.tokens)};
      std::copy(row.begin(), row.end(), table.begin() + static_cast<std::ptrdiff_t>(3 * mine[s]));
    }
  }
  all_reduce(runtime, table, Reduce::sum);
  std::vector<SequenceFigures> result(n);
  for (std::size_t i = 0; i < n; ++i)
    result[i] = {table[3 * i], table[3 * i + 1], static_cast<std::uint64_t>(table[3 * i + 2])};
  return result;
}

template std::vector<SequenceFigures> evaluate_split(Llama<float>&, const TokenSplit&, const EvaluationBatching&);
template std::vector<SequenceFigures> evaluate_split(Llama<bf16>&, const TokenSplit&, const EvaluationBatching&);
template std::vector<SequenceFigures> evaluate_split(Llama<double>&, const TokenSplit&, const EvaluationBatching&);

}  // namespace expunge
