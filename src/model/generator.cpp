// Runs the passes of a generation over the model's units and draws the next tokens.
#include "model/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "core/log.h"
#include "expunge/error.h"
#include "model/llama_impl.h"

namespace expunge {

template <Element T>
Generator<T>::Generator(Llama<T>& model, int sequences, int positions, int tokens, const LabelSampling& sampling)
    : model_(model), sampling_(sampling), positions_(positions) {
  const LlamaConfig& config = model.config();
  const Runtime& runtime = model.params_.runtime();
  const auto batch = static_cast<std::size_t>(sequences);
  const auto row = 2 * static_cast<std::size_t>(config.num_key_value_heads) * static_cast<std::size_t>(config.head_dim);
  const std::size_t elements = static_cast<std::size_t>(positions) * row;  // of one layer's cache
  try {
    for (int l = 0; l < config.num_hidden_layers; ++l) cache_.emplace_back(runtime.device, elements);
  } catch (const std::bad_alloc&) {
    fail(ExitCode::usage,
         fmt::format(
             "the cache of {} prompts and their completions, {} tokens, needs {} of memory, which is not available: lower "
             "--per-device-eval-batch-size or --max-new-tokens",
             sequences, positions, format_bytes(static_cast<double>(elements * sizeof(T)) * config.num_hidden_layers)));
  }
  last_ = Buffer<T>(runtime.device, batch * static_cast<std::size_t>(config.hidden_size));
  chosen_ = Buffer<std::int32_t>(runtime.device, batch);
  excluded_ = Llama<T>::DeviceBatch::upload(std::vector<std::int32_t>(batch, -1), runtime);
  model.reserve(std::max(tokens, sequences), false);
}

template <Element T>
auto Generator<T>::begin(std::span<const Opening> openings) -> std::vector<Drawn> {
  ranges_.clear();
  TokenBatch batch;
  std::vector<std::int32_t> slots;
  std::vector<double> uniform;
  std::int32_t start = 0;
  for (const Opening& opening : openings) {
    const auto length = static_cast<std::int32_t>(opening.ids.size());
    check(length >= 1 && length <= opening.room && opening.room <= positions_ - start, "a prompt has room in the cache");
    batch.append(opening.ids);
    for (std::int32_t t = 0; t < length; ++t) slots.push_back(start + t);
    uniform.push_back(opening.uniform);
    ranges_.push_back({start, length, opening.room});
    start += opening.room;
  }
  return pass(batch, slots, {}, {}, uniform);
}

template <Element T>
auto Generator<T>::next(std::span<const Step> steps) -> std::vector<Drawn> {
  TokenBatch batch;
  std::vector<std::int32_t> slots, starts, lengths;
  std::vector<double> uniform;
  for (const Step& step : steps) {
    CacheRange& range = ranges_.at(static_cast<std::size_t>(step.sequence));
    check(range.length < range.room, "a sequence has room for another token");
    batch.ids.push_back(step.id);
    batch.labels.push_back(kNoTarget);
    batch.positions.push_back(range.length);
    batch.offsets.push_back(batch.tokens());
    slots.push_back(range.start + range.length);
    starts.push_back(range.start);
    lengths.push_back(++range.length);
    uniform.push_back(step.uniform);
  }
  return pass(batch, slots, starts, lengths, uniform);
}

/// Runs one pass; without `lengths`, tokens attend to those of the pass itself.
template <Element T>
auto Generator<T>::pass(const TokenBatch& batch, std::span<const std::int32_t> slots, std::span<const std::int32_t> starts,
                        std::span<const std::int32_t> lengths, const std::vector<double>& uniform) -> std::vector<Drawn> {
  const Runtime& runtime = model_.params_.runtime();
  check(uniform.size() * static_cast<std::size_t>(model_.config().hidden_size) <= last_.size(), "the batch fits");
  model_.workspace_->reserve(batch.tokens(), false);
  using OnDevice = typename Llama<T>::DeviceBatch;
  const OnDevice device(batch, model_.workspace_->batch_room(), runtime);
  const Buffer<std::int32_t> to = OnDevice::upload(slots, runtime), from = OnDevice::upload(starts, runtime),
                             seen = OnDevice::upload(lengths, runtime);
  std::vector<BlockCache<T>> caches;
  for (Buffer<T>& layer : cache_) caches.push_back({layer.data(), to.data(), from.data(), seen.data()});
  model_.forward(batch, device, model_.config().num_hidden_layers, caches);
  if (lengths.empty()) keep_last(batch);
  return draw(uniform);
}

template <Element T>
void Generator<T>::keep_last(const TokenBatch& batch) {
  const Runtime& runtime = model_.params_.runtime();
  std::vector<std::int32_t> rows;
  for (const std::int32_t end : std::span(batch.offsets).subspan(1)) rows.push_back(end - 1);
  const Buffer<std::int32_t> device_rows = Llama<T>::DeviceBatch::upload(rows, runtime);
  const int n = batch.sequences(), dim = model_.config().hidden_size;
  // The embedding kernel copies rows of a table.
  model_.kernels_.embedding_forward(runtime.compute, last_.data(), model_.workspace_->output(), device_rows.data(), n, dim);
  copy_bytes(runtime.compute, model_.workspace_->output(), last_.data(),
             static_cast<std::size_t>(n) * static_cast<std::size_t>(dim) * sizeof(T));
}

/// Draws a token for each of the first rows of the last block's output.
template <Element T>
auto Generator<T>::draw(const std::vector<double>& uniform) -> std::vector<Drawn> {
  const Runtime& runtime = model_.params_.runtime();
  const Workspace<T>& w = *model_.workspace_;
  const Kernels<T>& k = model_.kernels_;
  const int n = static_cast<int>(uniform.size()), vocabulary = model_.config().vocab_size;
  const Buffer<double> numbers = Llama<T>::DeviceBatch::upload(uniform, runtime);
  const typename Llama<T>::Head head = model_.open_head(n);
  for (int begin = 0; begin < n; begin += w.chunk()) {
    const int rows = std::min(w.chunk(), n - begin);
    const A* const logits = model_.logits(head, begin, rows);
    std::int32_t* const chosen = chosen_.data() + begin;
    k.sample_labels(runtime.compute, chosen, logits, excluded_.data(), numbers.data() + begin, rows, vocabulary, sampling_);
    k.nll_forward(runtime.compute, w.nll() + begin, w.lse() + begin, w.predictions() + begin, logits, chosen, rows, vocabulary);
  }
  std::vector<std::int32_t> ids(uniform.size());
  std::vector<A> nll(uniform.size()), lse(uniform.size());
  copy_to_host(runtime.compute, ids.data(), chosen_.data(), ids.size() * sizeof(std::int32_t));
  copy_to_host(runtime.compute, nll.data(), w.nll(), nll.size() * sizeof(A));
  copy_to_host(runtime.compute, lse.data(), w.lse(), lse.size() * sizeof(A));
  runtime.compute.synchronize();
  std::vector<Drawn> drawn;
  // A failed draw has label -1 and nll 0; a log-sum-exp that is not finite reveals logits that are not numbers.
  constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < ids.size(); ++i)
    drawn.push_back({ids[i], std::isfinite(lse[i]) ? static_cast<double>(nll[i]) : kNotANumber});
  return drawn;
}

template class Generator<float>;
template class Generator<bf16>;
template class Generator<double>;

}  // namespace expunge
