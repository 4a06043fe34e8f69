// Finds splits, and reads documents from lines.
#include "data/corpus.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/text.h"
#include "data/line_reader.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/json.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::array<std::string_view, 3> kFormats = {".jsonl", ".jsonl.gz", ".txt"};
constexpr std::string_view kParquet = ".parquet";

/// Parts of a file name: forget-00001-of-00003.jsonl is {"forget", ".jsonl", 1, 3}.
struct FileName {
  std::string split, format;
  int shard = 0, shards = 0;  ///< shards is 0 for a file that is not a shard
};

std::optional<FileName> parse_name(const std::string& name) {
  if (name.starts_with('.')) return std::nullopt;
  FileName result;
  for (const std::string_view format : {kFormats[0], kFormats[1], kFormats[2], kParquet}) {
    if (name.ends_with(format) && name.size() > format.size()) result.format = format;
  }
  if (result.format.empty()) return std::nullopt;
  result.split = name.substr(0, name.size() - result.format.size());
  // The Hub appends "-00000-of-00001" to the name of a split.
  constexpr std::size_t kSuffix = 15;
  if (result.split.size() <= kSuffix) return result;
  const std::string suffix = result.split.substr(result.split.size() - kSuffix);
  std::string shape = suffix;
  for (char& c : shape) c = c >= '0' && c <= '9' ? '#' : c;
  if (shape != "-#####-of-#####" || suffix.ends_with("-00000")) return result;
  result.split.resize(result.split.size() - kSuffix);
  result.shard = std::stoi(suffix.substr(1, 5));
  result.shards = std::stoi(suffix.substr(10));
  return result;
}

/// The files of one split, checked to be complete: one file, or every shard once.
std::vector<fs::path> one_set(const fs::path& folder, const std::string& split,
                              const std::vector<std::pair<FileName, fs::path>>& found) {
  const int shards = found.front().first.shards;
  const std::string place = (folder / split).string();
  // Names come sorted, and shard numbers have five digits, so shards come in order.
  for (std::size_t i = 1; i < found.size(); ++i) {
    const FileName &name = found[i].first, &before = found[i - 1].first;
    if (name.shards == before.shards && name.shard != before.shard) continue;
    fail(ExitCode::bad_input, fmt::format("{}: the {} exists twice, as {} and as {}; remove one", place,
                                          name.shards == before.shards && shards > 0 ? "shard" : "split",
                                          found[i - 1].second.filename().string(), found[i].second.filename().string()));
  }
  std::vector<fs::path> files;
  for (const auto& [name, path] : found) {
    if (shards > 0 && name.shard != static_cast<int>(files.size())) break;
    files.push_back(path);
  }
  if (shards > 0 && (static_cast<int>(files.size()) != shards || files.size() != found.size()))
    fail(ExitCode::bad_input, fmt::format("{}: shard {:05} of {:05} is missing", place, files.size(), shards));
  return files;
}

std::vector<SplitSource> splits_of(const fs::path& folder, const std::string& domain) {
  std::map<std::string, std::vector<std::pair<FileName, fs::path>>> text;
  std::set<std::string> parquet;
  for (const fs::path& path : list_folder(folder)) {
    const std::optional<FileName> name = parse_name(path.filename().string());
    if (!name) continue;
    std::error_code unreadable;
    const bool regular = fs::is_regular_file(path, unreadable);
    if (unreadable) fail(ExitCode::bad_input, fmt::format("cannot read {}: {}", path.string(), unreadable.message()));
    if (!regular) continue;
    if (name->format == kParquet) {
      parquet.insert(name->split);
    } else {
      text[name->split].emplace_back(*name, path);
    }
  }
  for (const std::string& split : parquet) {
    if (text.contains(split)) continue;
    fail(ExitCode::bad_input, fmt::format("{}: split '{}' is in Parquet, which cannot be read here; convert it first: "
                                          "python3 data/parquet_to_jsonl.py {} NEW_FOLDER, then --data NEW_FOLDER",
                                          folder.string(), split, folder.parent_path().string()));
  }
  std::vector<SplitSource> result;
  for (const auto& [split, found] : text) result.push_back({domain, split, one_set(folder, split, found)});
  return result;
}

/// The named domains; all folders if none is named.
std::set<std::string> domains_of(const fs::path& data, const std::vector<std::string>& named) {
  std::set<std::string> domains(named.begin(), named.end());
  if (!domains.empty()) return domains;
  std::error_code unreadable;  // a dangling link is not a domain
  for (const fs::path& path : list_folder(data))
    if (fs::is_directory(path, unreadable)) domains.insert(path.filename().string());
  return domains;
}

}  // namespace

std::vector<fs::path> capital_endings(const fs::path& data, const std::vector<std::string>& domains) {
  std::vector<fs::path> found;
  for (const std::string& domain : domains_of(data, domains))
    for (const fs::path& path : list_folder(data / domain)) {
      const std::string name = path.filename().string();
      std::error_code unreadable;
      if (!parse_name(name) && parse_name(in_small_letters(name)) && fs::is_regular_file(path, unreadable))
        found.push_back(path);
    }
  return found;
}

std::vector<SplitSource> find_splits(const fs::path& data, const std::vector<std::string>& domains) {
  std::vector<SplitSource> result;
  for (const std::string& domain : domains_of(data, domains)) {
    const std::vector<SplitSource> found = splits_of(data / domain, domain);
    if (found.empty() && !domains.empty()) {
      fail(ExitCode::bad_input, fmt::format("{} holds no {} file", (data / domain).string(), fmt::join(kFormats, ", ")));
    }
    result.insert(result.end(), found.begin(), found.end());
  }
  if (result.empty()) {
    fail(ExitCode::bad_input,
         fmt::format("{} holds no folder (a domain) with a {} file (a split) in it", data.string(), fmt::join(kFormats, ", ")));
  }
  return result;
}

struct CorpusReader::Impl {
  std::vector<fs::path> files;
  std::string column;
  std::size_t file = 0;  // the next to open
  std::optional<LineReader> lines;
  bool is_json = false;
  Sha256 hash;

  std::string document(std::string line);
};

/// The document in a non-empty line.
std::string CorpusReader::Impl::document(std::string line) {
  if (!is_json) return line;
  const std::string where = lines->where();
  const bool undecided = column.empty();
  // Skip other columns: they may be many and large.
  const JsonRules rules{.wanted = undecided ? std::vector<std::string>{"text", "content"} : std::vector{column}};
  const JsonObject object(parse_json(line, where, rules), where);
  if (undecided) column = object.has("text") || !object.value().contains("content") ? "text" : "content";
  if (object.value().contains(column) && !object.has(column))
    fail(ExitCode::bad_input,
         fmt::format("{}: the text in column '{}' is null; remove the line, or name another column with --text-column", where,
                     column));
  if (!object.has(column))
    fail(ExitCode::bad_input,
         fmt::format("{}: there is no text in {} (its columns: {}); name the column of the texts with --text-column", where,
                     undecided ? "'text' or 'content'" : fmt::format("column '{}'", column),
                     excerpt_list(JsonObject(parse_json(line, where), where).keys())));
  return object.string(column);
}

CorpusReader::CorpusReader(std::vector<fs::path> files, std::string text_column) : impl_(std::make_unique<Impl>()) {
  impl_->files = std::move(files);
  impl_->column = std::move(text_column);
}
CorpusReader::~CorpusReader() = default;
CorpusReader::CorpusReader(CorpusReader&&) noexcept = default;

bool CorpusReader::next(std::string& text) {
  std::string line;
  for (;;) {
    while (impl_->lines && impl_->lines->next(line)) {
      if (line.empty() || (impl_->is_json && line.find_first_not_of(" \t") == std::string::npos)) continue;
      text = impl_->document(std::move(line));
      return true;
    }
    impl_->lines.reset();
    if (impl_->file == impl_->files.size()) return false;
    const fs::path& path = impl_->files[impl_->file++];
    impl_->is_json = path.extension() != ".txt";
    impl_->lines.emplace(path, kMaxLine, impl_->hash);
  }
}

std::string CorpusReader::where() const { return impl_->lines->where(); }

std::string CorpusReader::source_sha256() const { return impl_->hash.hex(); }

}  // namespace expunge
