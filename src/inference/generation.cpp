// Continues batches of prompts: draws a token, appends it, checks for an end, and decodes the completion.
#include "inference/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/log.h"
#include "core/random.h"
#include "data/batches.h"
#include "expunge/error.h"
#include "model/generator.h"
#include "plan/memory.h"

namespace expunge {
namespace {

/// Decodes `ids` after a prompt. They are decoded together with the last id of the prompt, because a piece's leading space
/// depends on the piece before it.
std::string text_behind(const Tokenizer& tokenizer, std::span<const std::int32_t> prompt, std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> all{prompt.back()};
  const std::string before = tokenizer.decode(all);
  all.insert(all.end(), ids.begin(), ids.end());
  const std::string text = tokenizer.decode(all);
  return text.starts_with(before) ? text.substr(before.size()) : tokenizer.decode(ids);
}

/// Position of the first stop string.
std::size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

/// The prompts of a command and the rules that end their completions.
class CompletionRules {
 public:
  CompletionRules(const LlamaConfig& config, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts,
                  const GenerationOptions& options)
      : tokenizer_(tokenizer), prompts_(prompts), options_(options), positions_(config.longest_sequence()) {}

  const Prompt& prompt(std::size_t i) const { return prompts_[i]; }
  /// The most tokens of a prompt and its completion together.
  std::size_t room(std::size_t i) const {
    const std::size_t asked = prompts_[i].ids.size() + static_cast<std::size_t>(options_.max_new_tokens);
    return std::min(asked, static_cast<std::size_t>(positions_));
  }
  double uniform(std::size_t i, std::size_t drawn) const { return random_uniform(options_.seed, prompts_[i].stream, drawn); }
  /// Appends a drawn token; returns the reason to end if it was the last.
  std::optional<FinishReason> take(std::size_t i, std::int32_t id, std::vector<std::int32_t>& ids) const {
    if (std::ranges::find(options_.eos_ids, id) != options_.eos_ids.end()) return FinishReason::eos;
    ids.push_back(id);
    if (!options_.stops.empty() && find_stop(text_of(i, ids), options_.stops) != std::string::npos) return FinishReason::stop;
    if (prompts_[i].ids.size() + ids.size() == room(i)) return FinishReason::length;
    return std::nullopt;
  }
  std::string text(std::size_t i, const Completion& completion) const {
    std::string text = text_of(i, completion.ids);
    if (completion.reason == FinishReason::stop) text.resize(std::min(text.size(), find_stop(text, options_.stops)));
    return text;
  }

 private:
  std::string text_of(std::size_t i, std::vector<std::int32_t> ids) const {
    std::erase_if(ids, [&](std::int32_t id) { return std::ranges::find(options_.pad_ids, id) != options_.pad_ids.end(); });
    return text_behind(tokenizer_, prompts_[i].ids, ids);
  }

  const Tokenizer& tokenizer_;
  const std::vector<Prompt>& prompts_;
  const GenerationOptions& options_;
  int positions_;
};

/// Continues this rank's batch until the batches of all ranks are done, because each step is collective.
template <Element T>
std::vector<Completion> run_batch(const Runtime& runtime, Generator<T>& generator, const CompletionRules& rules,
                                  const std::vector<std::size_t>& batch) {
  std::vector<typename Generator<T>::Opening> openings;
  std::vector<std::size_t> open(batch.size());  // sequences of the batch
  std::vector<Completion> completions(batch.size());
  for (std::size_t s = 0; s < batch.size(); ++s) {
    openings.push_back({rules.prompt(batch[s]).ids, static_cast<int>(rules.room(batch[s])), rules.uniform(batch[s], 0)});
    open[s] = s;
  }
  auto drawn = generator.begin(openings);
  for (;;) {
    std::vector<std::size_t> still;
    std::vector<typename Generator<T>::Step> steps;
    for (std::size_t i = 0; i < open.size(); ++i) {
      const std::size_t s = open[i];
      if (drawn[i].id < 0 || !std::isfinite(drawn[i].nll))
        fail(ExitCode::collapse,
             fmt::format("prompt {}: the model's logits are not finite: the model has collapsed", batch[s]));
      const auto reason = rules.take(batch[s], drawn[i].id, completions[s].ids);
      completions[s].reason = reason.value_or(FinishReason::length);
      if (reason) continue;
      still.push_back(s);
      steps.push_back({static_cast<int>(s), drawn[i].id, rules.uniform(batch[s], completions[s].ids.size())});
    }
    open = still;
    if (all_reduce(runtime, static_cast<double>(open.size()), Reduce::max) == 0) return completions;
    drawn = generator.next(steps);
  }
}

/// Sends the completions of a round's batches to all ranks.
void share(const Runtime& runtime, const std::vector<std::vector<std::size_t>>& batches, const std::vector<Completion>& mine,
           std::vector<Completion>& all) {
  const auto rank = static_cast<std::size_t>(runtime.comm.rank());
  std::size_t rows = 0, first = 0, longest = 0;
  for (const Completion& completion : mine) longest = std::max(longest, completion.ids.size());
  // A row holds the reason, the number of ids, and the ids.
  const std::size_t width = 2 + static_cast<std::size_t>(all_reduce(runtime, static_cast<double>(longest), Reduce::max));
  for (std::size_t r = 0; r < batches.size(); ++r) {
    if (r == rank) first = rows;
    rows += batches[r].size();
  }
  std::vector<double> table(rows * width);
  for (std::size_t s = 0; s < mine.size(); ++s) {
    double* const row = table.data() + (first + s) * width;
    row[0] = static_cast<double>(mine[s].reason);
    row[1] = static_cast<double>(mine[s].ids.size());
    std::copy(mine[s].ids.begin(), mine[s].ids.end(), row + 2);
  }
  all_reduce(runtime, table, Reduce::sum);
  const double* row = table.data();
  for (const auto& batch : batches)
    for (const std::size_t i : batch) {
      all[i].reason = static_cast<FinishReason>(row[0]);
      all[i].ids.assign(row + 2, row + 2 + static_cast<std::ptrdiff_t>(row[1]));
      row += width;
    }
}

/// The batches of all ranks in a round.
std::vector<std::vector<std::size_t>> round_of(const BatchDeal& deal, std::size_t round) {
  std::vector<std::vector<std::size_t>> batches;
  for (const auto& rank : deal) batches.push_back(rank[round]);
  return batches;
}

}  // namespace

std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, const std::string& text, const std::string& where) {
  std::vector<std::int32_t> ids = tokenizer.encode(text, where);
  ids.resize(ids.size() - tokenizer.ids_after().size());
  if (ids.empty() && tokenizer.bos_id()) ids.push_back(*tokenizer.bos_id());
  return ids;
}

void check_prompt(const std::string& where, const std::vector<std::int32_t>& ids, const LlamaConfig& model) {
  if (ids.empty())
    fail(ExitCode::bad_input, fmt::format("{}: the prompt is empty, but the model has no BOS to begin with", where));
  if (ids.size() >= static_cast<std::size_t>(model.longest_sequence()))
    fail(ExitCode::bad_input,
         fmt::format("{}: the prompt has {} tokens, but the model has {} positions and the completion needs "
                     "at least one; shorten the prompt",
                     where, ids.size(), model.longest_sequence()));
  if (const std::int32_t largest = *std::ranges::max_element(ids); largest >= model.vocab_size)
    fail(ExitCode::bad_input,
         fmt::format("{}: the tokenizer gives id {}, but the model's vocabulary has {}", where, largest, model.vocab_size));
}

GenerationOptions with_ends(GenerationOptions options, const GenerationSettings& ends) {
  options.eos_ids = ends.eos_ids;
  options.pad_ids = ends.pad_ids;
  for (const std::string& stop : ends.stop_strings)
    if (std::ranges::find(options.stops, stop) == options.stops.end()) options.stops.push_back(stop);
  return options;
}

template <Element T>
std::vector<Completion> generate(Llama<T>& model, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts,
                                 const GenerationOptions& options) {
  const Runtime& runtime = model.params().runtime();
  const CompletionRules rules(model.config(), tokenizer, prompts, options);
  std::vector<std::size_t> rooms(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) rooms[i] = rules.room(i);
  const BatchDeal deal = deal_batches(rooms, runtime.comm.size(), options.batch_size, 0);

  // Reserve memory for the largest of this rank's batches.
  std::size_t sequences = 0, positions = 0, tokens = 0;
  for (const auto& batch : deal[static_cast<std::size_t>(runtime.comm.rank())]) {
    std::size_t room = 0, prompt_tokens = 0;
    for (const std::size_t i : batch) {
      room += rooms[i];
      prompt_tokens += prompts[i].ids.size();
    }
    sequences = std::max(sequences, batch.size());
    positions = std::max(positions, room);
    tokens = std::max(tokens, prompt_tokens);
  }
  constexpr std::size_t kMost = 1u << 30;
  if (positions > kMost)
    fail(ExitCode::usage, fmt::format("a batch of {} prompts and their completions has {} tokens, but at most {} fit: lower "
                                      "--per-device-eval-batch-size",
                                      sequences, positions, kMost));
  Generator<T> generator(model, static_cast<int>(sequences), static_cast<int>(positions), static_cast<int>(tokens),
                         options.sampling);
  std::vector<Completion> completions(prompts.size());
  const std::size_t rounds = deal.front().size();
  Progress progress("generate", static_cast<std::int64_t>(rounds), 0, static_cast<std::int64_t>(rounds + 9) / 10);
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto batches = round_of(deal, round);
    const auto mine = run_batch(runtime, generator, rules, batches[static_cast<std::size_t>(runtime.comm.rank())]);
    share(runtime, batches, mine, completions);
    std::size_t prompts_done = 0;
    for (const auto& batch : batches) prompts_done += batch.size();
    progress.advance(fmt::format("{} prompts per round", prompts_done));
  }
  progress.finish();
  for (std::size_t i = 0; i < prompts.size(); ++i) completions[i].text = rules.text(i, completions[i]);
  return completions;
}

GatherPolicy gather_for_generation(const Session& session, const LlamaConfig& config, const ComputeConfig& asked) {
  if (asked.gather != GatherPolicy::automatic) return asked.gather;
  const GatherPolicy mine = choose_inference_gather(
      llama_units(config, session.world_size()), static_cast<std::size_t>(dtype_size(asked.dtype)), session.available_memory());
  const bool all = all_reduce(session.runtime(), mine == GatherPolicy::per_step ? 1 : 0, Reduce::min) > 0;
  return all ? GatherPolicy::per_step : GatherPolicy::per_micro_step;
}

template std::vector<Completion> generate(Llama<float>&, const Tokenizer&, const std::vector<Prompt>&,
                                          const GenerationOptions&);
template std::vector<Completion> generate(Llama<bf16>&, const Tokenizer&, const std::vector<Prompt>&, const GenerationOptions&);
template std::vector<Completion> generate(Llama<double>&, const Tokenizer&, const std::vector<Prompt>&,
                                          const GenerationOptions&);

}  // namespace expunge
