// Collects the sequences of a run and their order.
#include "training/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "core/text.h"
#include "expunge/error.h"
#include "io/content_kind.h"

namespace expunge {
namespace {

constexpr std::uint64_t kOrderLimit = std::uint64_t{1} << 30;

/// Reads item numbers, one per line, each below `items`.
std::vector<std::size_t> read_order(const std::filesystem::path& path, std::size_t items) {
  const std::string text = read_text_file(path, kOrderLimit);
  std::vector<std::size_t> order;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size(); ++line_number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    std::size_t item = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), item);
    if (error != std::errc() || rest != line.data() + line.size() || item >= items)
      fail(ExitCode::bad_input, fmt::format("{}: line {}: expected a sequence number from 0 to {}, found '{}'", path.string(),
                                            line_number + 1, items - 1, excerpt(line)));
    order.push_back(item);
    begin = end + 1;
  }
  if (order.empty()) fail(ExitCode::bad_input, fmt::format("{}: has no sequence numbers; write one per line", path.string()));
  return order;
}

SampleOrder make_order(const SampleOptions& options, std::size_t items) {
  if (!options.order.empty()) return SampleOrder(read_order(options.order, items));
  return SampleOrder(items, options.seed, options.shuffle);
}

/// --max-train-samples, or the largest number if it is 0.
std::size_t most_items(const SampleOptions& options) {
  return options.most > 0 ? static_cast<std::size_t>(options.most) : std::numeric_limits<std::size_t>::max();
}

}  // namespace

std::size_t items_used(const RunOptions& options) {
  const bool in_order = !options.samples.shuffle && options.samples.order.empty() && !options.released;
  if (!in_order || options.schedule.max_steps <= 0) return std::numeric_limits<std::size_t>::max();
  return static_cast<std::size_t>(options.schedule.max_steps * options.batch.global);
}

TrainingData::TrainingData(const TokenFile& tokens, const std::vector<RoleSplit>& sources, const SampleOptions& options,
                           int vocabulary, std::size_t used)
    : order_(std::vector<std::size_t>{}) {
  std::array<std::optional<std::size_t>, 2> part_of;  // by role, if each role has one source
  for (const RoleSplit& source : sources) {
    part_of[static_cast<std::size_t>(source.role)] = parts_.size();
    parts_.push_back({source, tokens.split(source.split, vocabulary), {}});
  }
  const auto forget = part_of[static_cast<std::size_t>(Role::forget)], retain = part_of[static_cast<std::size_t>(Role::retain)];
  if (forget && retain)
    interleave(*forget, *retain, options, std::min(used, most_items(options)));
  else
    for (std::size_t p = 0; p < parts_.size(); ++p)
      for (std::size_t i = 0; i < parts_[p].split.sequences(); ++i) items_.push_back({parts_[p].source.role, p, i});
  items_.resize(std::min(items_.size(), most_items(options)));
  order_ = make_order(options, items_.size());
}

void TrainingData::interleave(std::size_t forget, std::size_t retain, const SampleOptions& options, std::size_t most) {
  const std::size_t available = parts_[retain].split.sequences(), all = parts_[forget].split.sequences();
  const auto ratio = static_cast<std::size_t>(options.retain.positive_ratio);
  const std::size_t used = std::min(most, all * (1 + ratio));  // items of the run
  const std::size_t needed = used / (1 + ratio) * ratio + (used % (1 + ratio) > 0 ? used % (1 + ratio) - 1 : 0);
  if (needed > available && !options.retain.repeat)
    fail(ExitCode::usage,
         fmt::format("{} has {} sequences, but --positive-ratio {} needs {} for {} of {}; tokenize more retain text, lower "
                     "--positive-ratio, or repeat the retain set with --retain-repeat",
                     parts_[retain].source.split, available, ratio, needed, used - needed, parts_[forget].source.split));
  const std::size_t items = std::min(all * (1 + ratio), most_items(options));
  if (items > kMostItems)
    fail(ExitCode::usage,
         fmt::format(
             "--positive-ratio {}: this many sequences after each of {} of {} make a list of {}, but a run holds at most "
             "{}; lower it, or give --max-train-samples",
             ratio, all, parts_[forget].source.split, items, kMostItems));
  const Interleaving list{ratio};
  for (std::size_t i = 0; i < items; ++i) {
    const std::size_t sequence = list.sequence(i);
    if (list.is_forget(i))
      items_.push_back({Role::forget, forget, sequence});
    else
      items_.push_back({Role::retain, retain, sequence % available});
  }
}

std::span<const std::int32_t> TrainingData::labels(std::size_t item) const {
  const Part& p = part(item);
  if (p.labels.empty()) return ids(item);
  return std::span(p.labels).subspan(p.split.offsets()[items_[item].sequence], length(item));
}

bool TrainingData::labels_replaced(Role role) const {
  return std::ranges::any_of(parts_, [&](const Part& p) { return p.source.role == role && !p.labels.empty(); });
}

std::size_t TrainingData::targets(std::size_t item) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(labels(item).subspan(1), [](std::int32_t label) { return label >= 0; }));
}

std::string TrainingData::describe(std::size_t item) const {
  return fmt::format("{} sequence {}", part(item).source.split, items_[item].sequence);
}

std::size_t TrainingData::longest() const {
  std::size_t longest = 0;
  for (std::size_t i = 0; i < items(); ++i) longest = std::max(longest, length(i));
  return longest;
}

}  // namespace expunge
