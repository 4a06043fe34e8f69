// Compares configs.
#include "run/config_changes.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "cli/config_text.h"
#include "expunge/error.h"
#include "run/option_tables.h"

namespace expunge {
namespace {

/// The rule of a key on resume, from the tables of both commands. A key of another version decides the result.
OnResume on_resume(std::string_view key) {
  static const std::map<std::string, OnResume, std::less<>> kByKey = [] {
    std::map<std::string, OnResume, std::less<>> by_key;
    RunOptions options;
    for (const auto& table : {train_table(options), unlearn_table(options)})
      for (const Option& option : table.options()) by_key[option.key] = option.resolved ? option.on_resume : OnResume::free;
    return by_key;
  }();
  const auto found = kByKey.find(key);
  return found == kByKey.end() ? OnResume::same : found->second;
}

/// Keys in order of appearance, each with all its values.
struct KeyValues {
  std::vector<std::string> order;
  std::map<std::string, std::string, std::less<>> text;
  std::set<std::string, std::less<>> named;  // also keys without a value
};

/// The keys whose rule on resume is `wanted`.
KeyValues collect(std::string_view config, const std::string& origin, bool (*wanted)(OnResume)) {
  KeyValues values;
  for (const ConfigEntry& entry : read_config_text(config, origin)) {
    if (!wanted(on_resume(entry.key))) continue;
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

std::string value_of(const KeyValues& values, const std::string& key) {
  const auto found = values.text.find(key);
  return found == values.text.end() ? "(not set)" : found->second;
}

bool decides(OnResume kind) { return kind == OnResume::same; }

/// Compares values; a key that `before` does not name has its value in `former`.
std::vector<Difference> compare(const KeyValues& before, const KeyValues& after, const KeyValues& former) {
  std::vector<Difference> changed;
  for (const auto* keys : {&after.order, &before.order})
    for (const std::string& key : *keys) {
      const std::string was = value_of(before.named.contains(key) ? before : former, key), now = value_of(after, key);
      if (was != now && std::ranges::find(changed, key, &Difference::key) == changed.end()) changed.push_back({key, was, now});
    }
  return changed;
}

}  // namespace

std::vector<Difference> changed_options(std::string_view old_text, std::string_view new_text, std::string_view defaults) {
  const KeyValues before = collect(old_text, "the old config", decides), after = collect(new_text, "the new config", decides);
  return compare(before, after, collect(defaults, "the defaults", decides));
}

std::vector<Difference> edited_options(const std::string& old_text, const std::string& new_text) {
  const auto stays = [](OnResume kind) { return kind != OnResume::free; };
  try {
    return compare(collect(old_text, "the old config", stays), collect(new_text, "the new config", stays), {});
  } catch (const Error& error) {
    fail(ExitCode::bad_input, error.what());  // because the texts come from files, not from the command line
  }
}

std::optional<Difference> first_difference(std::string_view old_text, std::string_view new_text, std::string_view defaults) {
  const std::vector<Difference> changed = changed_options(old_text, new_text, defaults);
  return changed.empty() ? std::nullopt : std::optional(changed.front());
}

std::vector<std::string> later_keys(std::string_view old_text, std::string_view new_text) {
  const KeyValues before = collect(old_text, "the old config", decides), after = collect(new_text, "the new config", decides);
  std::vector<std::string> keys;
  std::ranges::copy_if(after.order, std::back_inserter(keys),
                       [&](const std::string& key) { return !before.named.contains(key); });
  return keys;
}

}  // namespace expunge
