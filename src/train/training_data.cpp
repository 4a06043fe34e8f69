// Collecting the sequences of a run and their order.
#include "expunge/train/training_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "expunge/core/error.h"
#include "expunge/io/files.h"

namespace expunge {
namespace {

constexpr std::uint64_t kOrderLimit = std::uint64_t{1} << 30;

/// One item number a line, each below `items`.
std::vector<std::size_t> read_order(const std::filesystem::path& path, std::size_t items) {
  const std::string text = read_file(path, kOrderLimit);
  std::vector<std::size_t> order;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size(); ++line_number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    std::size_t item = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), item);
    if (error != std::errc() || rest != line.data() + line.size() || item >= items)
      fail(ExitCode::bad_input, fmt::format("{}: line {}: expected a sequence number from 0 to {}, found '{}'", path.string(),
                                            line_number + 1, items - 1, line.substr(0, 40)));
    order.push_back(item);
    begin = end + 1;
  }
  if (order.empty()) fail(ExitCode::bad_input, fmt::format("{}: holds no sequence numbers", path.string()));
  return order;
}

SampleOrder make_order(const TrainConfig& config, std::size_t items) {
  if (!config.sample_order.empty()) return SampleOrder(read_order(config.sample_order, items));
  return SampleOrder(items, config.seed, config.shuffle);
}

}  // namespace

TrainingData::TrainingData(const TokenFile& tokens, const std::vector<Source>& sources, const TrainConfig& config,
                           int vocabulary)
    : order_(std::vector<std::size_t>{}) {
  for (const Source& source : sources) splits_.push_back(tokens.split(source.split, vocabulary));
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (std::size_t i = 0; i < splits_[s].sequences(); ++i) items_.push_back({sources[s].role, splits_[s].ids(i)});
  if (config.max_train_samples > 0)
    items_.resize(std::min(items_.size(), static_cast<std::size_t>(config.max_train_samples)));
  order_ = make_order(config, items_.size());
}

std::size_t TrainingData::longest() const {
  return std::ranges::max(items_, {}, [](const Item& item) { return item.ids.size(); }).ids.size();
}

}  // namespace expunge
