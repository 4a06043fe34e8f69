// Writes and reads counts of shared text in token files, and describes them in words.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "data/duplicates.h"

namespace expunge {
namespace {

constexpr const char* kThreshold = "near_duplicate_threshold";

std::string group_of(const SharedText& pair) { return fmt::format("/{}/duplicates/{}", pair.split, pair.other); }

/// "3" for one split, "3 and 2" for two.
std::string amount(const SharedText& there, const SharedText& back, std::uint64_t SharedText::*count) {
  if (there.split == there.other) return fmt::format("{}", there.*count);
  return fmt::format("{} and {}", there.*count, back.*count);
}

std::string describe(const SharedText& there, const SharedText& back, double near_threshold) {
  const auto of = [&](std::uint64_t SharedText::*count) { return amount(there, back, count); };
  std::vector<std::string> parts;
  const bool near = there.near_documents > there.documents || back.near_documents > back.documents;
  const std::string above = fmt::format("of similarity {} and above", near_threshold);
  if (there.documents > 0)
    parts.push_back(of(&SharedText::documents) + " equal documents" +
                    (near ? fmt::format(" ({} with nearly equal ones, {})", of(&SharedText::near_documents), above) : ""));
  else if (near)
    parts.push_back(fmt::format("{} nearly equal documents, {}", of(&SharedText::near_documents), above));
  if (there.sequences > 0) parts.push_back(of(&SharedText::sequences) + " equal sequences");
  const std::string shared = fmt::format("{}", fmt::join(parts, ", "));
  if (there.split == there.other) return fmt::format("{} holds text more than once: {}", there.split, shared);
  return fmt::format("{} and {} share text: {}", there.split, there.other, shared);
}

}  // namespace

void write_duplicates(Hdf5File& file, const Duplicates& duplicates) {
  file.write_attribute("/", kThreshold, duplicates.near_threshold);
  for (const SharedText& pair : duplicates.shared) {
    const std::string group = group_of(pair);
    file.create_group(group);
    file.write_attribute(group, "documents", pair.documents);
    if (duplicates.near_threshold > 0) file.write_attribute(group, "near_documents", pair.near_documents);
    file.write_attribute(group, "sequences", pair.sequences);
  }
}

std::optional<Duplicates> read_duplicates(const Hdf5File& file, const std::vector<std::string>& splits) {
  if (!file.has_attribute("/", kThreshold)) return std::nullopt;
  Duplicates result{file.read_attribute<double>("/", kThreshold)};
  for (const std::string& split : splits) {
    const std::string groups = "/" + split + "/duplicates";
    if (!file.exists(groups)) continue;
    for (const std::string& domain : file.children(groups))
      for (const std::string& other : file.children(groups + "/" + domain)) {
        SharedText pair{split, domain + "/" + other};
        const auto count = [&](const char* name) { return file.read_attribute<std::uint64_t>(group_of(pair), name); };
        pair.documents = count("documents");
        if (result.near_threshold > 0) pair.near_documents = count("near_documents");
        pair.sequences = count("sequences");
        result.shared.push_back(std::move(pair));
      }
  }
  return result;
}

std::vector<std::string> describe_duplicates(const Duplicates& duplicates,
                                             const std::function<bool(const SharedText&)>& wanted) {
  constexpr std::size_t kMost = 12;
  std::vector<std::string> lines;
  std::size_t more = 0;
  for (const SharedText& there : duplicates.shared) {
    if (there.other < there.split || !wanted(there)) continue;  // each pair once
    if (lines.size() == kMost) {
      ++more;
      continue;
    }
    const auto back = std::ranges::find_if(
        duplicates.shared, [&](const SharedText& pair) { return pair.split == there.other && pair.other == there.split; });
    lines.push_back(describe(there, back == duplicates.shared.end() ? SharedText{} : *back, duplicates.near_threshold));
  }
  if (more > 0) lines.push_back(fmt::format("{} more pairs of splits share text; expunge inspect lists them", more));
  return lines;
}

}  // namespace expunge
