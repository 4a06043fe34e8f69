// Reads config text.
#include "cli/config_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr std::string_view kBlank = " \t\r\v\f";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";  // a UTF-8 mark that editors on Windows write

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

}  // namespace expunge
