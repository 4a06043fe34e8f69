// Splits texts into context and continuation, and scores them in packed batches.
#include "inference/continuations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "data/batches.h"
#include "expunge/error.h"
#include "inference/generation.h"
#include "inference/python_text.h"

namespace expunge {

Continuation encode_pair(const Tokenizer& tokenizer, std::string context, std::string continuation, const LlamaConfig& model,
                         const std::string& where) {
  const std::size_t text_end = right_stripped(context).size();
  continuation.insert(0, context, text_end);
  context.resize(text_end);
  Continuation result{prompt_ids(tokenizer, context + continuation, where), prompt_ids(tokenizer, context, where).size()};
  // An empty context needs BOS to predict the first id, even if the tokenizer adds none.
  if (context.empty() && result.first == 1 && result.ids.front() != tokenizer.bos_id())
    result.ids.insert(result.ids.begin(), *tokenizer.bos_id());
  const std::string shown = excerpt(continuation);
  if (result.first == 0)
    fail(ExitCode::bad_input, fmt::format("{}: the context is empty, but the model has no BOS to predict from", where));
  if (result.first >= result.ids.size())
    fail(ExitCode::bad_input, fmt::format("{}: '{}' has no tokens of its own after its context", where, shown));
  const auto most = static_cast<std::size_t>(model.longest_sequence()) + 1;
  if (const std::size_t surplus = result.ids.size() - std::min(result.ids.size(), most); surplus > 0) {
    if (surplus >= result.first)
      fail(ExitCode::bad_input, fmt::format("{}: '{}' is longer than the model's {} positions", where, shown, most - 1));
    result.ids.erase(result.ids.begin(), result.ids.begin() + static_cast<std::ptrdiff_t>(surplus));
    result.first -= surplus;
  }
  if (const std::int32_t largest = *std::ranges::max_element(result.ids); largest >= model.vocab_size)
    fail(ExitCode::bad_input,
         fmt::format("{}: the tokenizer gives id {}, but the model's vocabulary has {}", where, largest, model.vocab_size));
  return result;
}

template <Element T>
std::vector<double> log_likelihoods(Llama<T>& model, const std::vector<Continuation>& continuations, std::size_t batch_size) {
  const Runtime& runtime = model.params().runtime();
  std::vector<std::size_t> lengths;
  for (const Continuation& continuation : continuations) lengths.push_back(continuation.ids.size());
  const BatchDeal deal = deal_batches(lengths, runtime.comm.size(), batch_size, 0);
  // Each rank fills in its own results; the sum over ranks completes them.
  std::vector<double> result(continuations.size());
  for (const std::vector<std::size_t>& mine : deal[static_cast<std::size_t>(runtime.comm.rank())]) {
    TokenBatch batch;
    for (const std::size_t i : mine) batch.append(continuations[i].ids);
    const auto scores = model.score(batch);
    for (std::size_t s = 0; s < mine.size(); ++s) {
      const auto begin = static_cast<std::size_t>(batch.offsets[s]), end = static_cast<std::size_t>(batch.offsets[s + 1]);
      for (std::size_t t = begin + continuations[mine[s]].first - 1; t + 1 < end; ++t)
        result[mine[s]] -= static_cast<double>(scores.nll[t]);
    }
  }
  all_reduce(runtime, result, Reduce::sum);
  for (std::size_t i = 0; i < result.size(); ++i)
    if (!std::isfinite(result[i]))
      fail(ExitCode::collapse, fmt::format("the log-likelihood of choice {} is {}: the model has collapsed", i, result[i]));
  return result;
}

template std::vector<double> log_likelihoods(Llama<float>&, const std::vector<Continuation>&, std::size_t);
template std::vector<double> log_likelihoods(Llama<bf16>&, const std::vector<Continuation>&, std::size_t);
template std::vector<double> log_likelihoods(Llama<double>&, const std::vector<Continuation>&, std::size_t);

}  // namespace expunge
