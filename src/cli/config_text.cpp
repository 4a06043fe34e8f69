// Reads and compares config text.
#include "cli/config_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr std::string_view kBlank = " \t\r\v\f";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // a UTF-8 mark that editors on Windows write

// Compared as global-batch-size; its division into micro-batches may change.
constexpr std::array<std::string_view, 21> kFreeKeys = {"config",
                                                        "output-dir",
                                                        "overwrite-output-dir",
                                                        "resume-from-checkpoint",
                                                        "save-steps",
                                                        "save-total-limit",
                                                        "logging-steps",
                                                        "save-labels",
                                                        "log-jsonl",
                                                        "tensorboard",
                                                        "quiet",
                                                        "grace-seconds",
                                                        "max-walltime",
                                                        "collective-timeout",
                                                        "comm",
                                                        "gather",
                                                        "recompute",
                                                        "prefetch",
                                                        "micro-batch-tokens",
                                                        "per-device-train-batch-size",
                                                        "gradient-accumulation-steps"};

// Compared by the hashes in checkpoints, because a file may have another name or place.
constexpr std::array<std::string_view, 5> kHashedKeys = {"model", "init-config", "tokens", "labels", "sample-order"};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string_view without_comment(std::string_view line) {
  for (auto at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1))
    if (at == 0 || kBlank.find(line[at - 1]) != std::string_view::npos) return line.substr(0, at);
  return line;
}

/// Keys in order of appearance, each with all its values.
struct Values {
  std::vector<std::string> order;
  std::map<std::string, std::string, std::less<>> text;
  std::set<std::string, std::less<>> named;  // with or without a value
};

Values collect(std::string_view config, const std::string& origin) {
  Values values;
  for (const ConfigEntry& entry : read_config_text(config, origin)) {
    if (!decides_result(entry.key)) continue;
    values.named.insert(entry.key);
    if (entry.value.empty()) continue;
    const auto [place, added] = values.text.try_emplace(entry.key, entry.value);
    if (added)
      values.order.push_back(entry.key);
    else
      place->second += ", " + entry.value;
  }
  return values;
}

std::string value_of(const Values& values, const std::string& key) {
  const auto found = values.text.find(key);
  return found == values.text.end() ? "(not set)" : found->second;
}

}  // namespace

std::vector<ConfigEntry> read_config_text(std::string_view text, const std::string& origin) {
  std::vector<ConfigEntry> entries;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view line = trim(without_comment(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const auto equals = line.find('=');
    std::string key(trim(line.substr(0, equals)));
    if (equals == std::string_view::npos || key.empty())
      fail(ExitCode::usage, fmt::format("{}:{}: expected `key = value`, found \"{}\"", origin, number, excerpt(line)));
    std::replace(key.begin(), key.end(), '_', '-');
    entries.push_back({std::move(key), std::string(trim(line.substr(equals + 1))), number});
  }
  return entries;
}

bool fits_config_text(std::string_view value) {
  const std::string line = fmt::format("key = {}", value);
  return value.find('\n') == std::string_view::npos && trim(value) == value && without_comment(line) == line;
}

bool may_change(std::string_view key) { return std::ranges::find(kFreeKeys, key) != kFreeKeys.end(); }

bool decides_result(std::string_view key) {
  return !may_change(key) && std::ranges::find(kHashedKeys, key) == kHashedKeys.end();
}

std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults) {
  std::vector<Difference> changed;
  const Values before = collect(old_text, "the old config"), after = collect(new_text, "the new config");
  const Values former = collect(defaults, "the defaults");
  for (const auto* keys : {&after.order, &before.order})
    for (const std::string& key : *keys) {
      const std::string was = value_of(before.named.contains(key) ? before : former, key), now = value_of(after, key);
      if (was != now && std::ranges::find(changed, key, &Difference::key) == changed.end()) changed.push_back({key, was, now});
    }
  return changed;
}

std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text, std::string_view defaults) {
  const std::vector<Difference> changed = changed_options(old_text, new_text, defaults);
  return changed.empty() ? std::nullopt : std::optional(changed.front());
}

std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text) {
  const Values before = collect(old_text, "the old config"), after = collect(new_text, "the new config");
  std::vector<std::string> keys;
  std::ranges::copy_if(after.order, std::back_inserter(keys),
                       [&](const std::string& key) { return !before.named.contains(key); });
  return keys;
}

}  // namespace expunge
