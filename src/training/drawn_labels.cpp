// Draws labels uniformly or from the model's distribution.
#include "training/drawn_labels.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/random.h"
#include "data/batches.h"
#include "expunge/error.h"

namespace expunge {
namespace {

/// The stream of random numbers of a sequence.
std::uint64_t stream_of(std::size_t sequence) {
  static const std::uint64_t kStream = random_stream("labels");
  return kStream + sequence;
}

bool is_special(const std::vector<std::int32_t>& special, std::int32_t id) {
  return std::ranges::find(special, id) != special.end();
}

}  // namespace

Labels draw_uniform_labels(const TokenSplit& split, std::uint64_t seed, int vocabulary,
                           const std::vector<std::int32_t>& special) {
  Labels labels(split.all_ids().begin(), split.all_ids().end());
  for (std::size_t s = 0; s < split.sequences(); ++s)
    for (std::size_t t = 0; t < split.length(s); ++t) {
      std::int32_t& label = labels[split.offsets()[s] + t];
      if (!is_special(special, label))
        label = static_cast<std::int32_t>(random_below(seed, stream_of(s), t, static_cast<std::uint64_t>(vocabulary)));
    }
  return labels;
}

template <Element T>
Labels draw_model_labels(Llama<T>& original, const TokenSplit& split, const LabelOptions& labels, bool released,
                         std::uint64_t seed, const EvaluationBatching& batching) {
  const Runtime& runtime = original.params().runtime();
  const int vocabulary = original.config().vocab_size;
  const LabelSampling sampling{static_cast<int>(std::min<std::int64_t>(labels.top_k, vocabulary)), labels.top_p,
                               released ? vocabulary - 1 : vocabulary};
  std::vector<std::size_t> lengths(split.sequences());
  for (std::size_t s = 0; s < lengths.size(); ++s) lengths[s] = split.length(s);
  const BatchDeal deal = deal_batches(lengths, runtime.comm.size(), batching.batch_size, batching.micro_batch_tokens);

  // Each rank fills in its own sequences; the sum over ranks completes the table.
  std::vector<double> table(split.tokens());
  for (const std::vector<std::size_t>& mine : deal[static_cast<std::size_t>(runtime.comm.rank())]) {
    if (batching.cut_short && batching.cut_short()) return {};
    TokenBatch batch;
    std::vector<std::int32_t> excluded;
    std::vector<double> uniform;
    for (const std::size_t s : mine) {
      batch.append(split.ids(s));
      for (std::size_t t = 0; t < split.length(s); ++t) {
        // Index of the label that the prediction at t is for.
        const std::size_t label = released ? t : t + 1;
        excluded.push_back(labels.rm_groundtruth && label < split.length(s) ? split.ids(s)[label] : -1);
        uniform.push_back(random_uniform(seed, stream_of(s), label));
      }
    }
    const std::vector<std::int32_t> drawn = original.draw_labels(batch, excluded, uniform, sampling);
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const std::span<const std::int32_t> ids = split.ids(mine[i]);
      const auto first = static_cast<std::size_t>(batch.offsets[i]);
      for (std::size_t t = 0; t < ids.size(); ++t) {
        const bool kept = t == 0 && !released;  // no position predicts the first id
        table[split.offsets()[mine[i]] + t] = kept ? ids[t] : drawn[released ? first + t : first + t - 1];
      }
    }
  }
  all_reduce(runtime, table, Reduce::sum);
  Labels result(table.size());
  std::ranges::transform(table, result.begin(), [](double label) { return static_cast<std::int32_t>(label); });
  return result;
}

void check_drawn(const std::string& model, const std::string& name, const TokenSplit& split, const Labels& labels) {
  for (std::size_t s = 0; s < split.sequences(); ++s)
    if (std::ranges::any_of(std::span(labels).subspan(split.offsets()[s], split.length(s)),
                            [](auto label) { return label < 0; }))
      fail(
          ExitCode::collapse,
          fmt::format("{}: cannot draw labels for {}, sequence {}: the model's logits are not finite; evaluate the model first",
                      model, name, s));
}

template Labels draw_model_labels(Llama<float>&, const TokenSplit&, const LabelOptions&, bool, std::uint64_t,
                                  const EvaluationBatching&);
template Labels draw_model_labels(Llama<bf16>&, const TokenSplit&, const LabelOptions&, bool, std::uint64_t,
                                  const EvaluationBatching&);
template Labels draw_model_labels(Llama<double>&, const TokenSplit&, const LabelOptions&, bool, std::uint64_t,
                                  const EvaluationBatching&);

}  // namespace expunge
