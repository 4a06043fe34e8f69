// Reading and writing label files.
#include "data/label_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {
namespace {

std::string ids_of(const std::string& split) { return "/" + split + "/ids"; }
std::string offsets_of(const std::string& split) { return "/" + split + "/offsets"; }

}  // namespace

void write_labels(const std::filesystem::path& path, const std::string& name, const TokenSplit& split, const Labels& labels,
                  const std::function<void(Hdf5File&)>& annotate) {
  PendingFile pending(path);
  Hdf5File file = Hdf5File::create(pending.temporary());
  const std::string ids = ids_of(name), offsets = offsets_of(name);
  file.create_dataset<std::int32_t>(ids, {labels.size()});
  file.write<std::int32_t>(ids, 0, labels);
  file.create_dataset<std::uint64_t>(offsets, {split.offsets().size()});
  file.write<std::uint64_t>(offsets, 0, split.offsets());
  file.write_attribute("/" + name, "sequences", std::uint64_t{split.sequences()});
  if (annotate) annotate(file);
  file.close();
  pending.commit();
}

std::optional<Labels> read_labels(const std::filesystem::path& path, const std::string& name, const TokenSplit& split,
                                  int vocabulary) {
  const Hdf5File file = Hdf5File::open(path);
  const std::string ids = ids_of(name), offsets = offsets_of(name);
  if (!file.exists(ids)) return std::nullopt;
  const auto bad = [&](const std::string& what) {
    fail(ExitCode::bad_input, fmt::format("{}: {}: {}", path.string(), name, what));
  };
  if (!std::ranges::equal(file.read_all<std::uint64_t>(offsets), split.offsets()))
    bad("offsets differ from the token file's: the labels belong to other sequences");
  Labels labels = file.read_all<std::int32_t>(ids);
  if (labels.size() != split.tokens()) bad(fmt::format("expected {} labels, found {}", split.tokens(), labels.size()));
  for (std::size_t s = 0; s < split.sequences(); ++s) {
    const auto own = std::span(labels).subspan(split.offsets()[s], split.length(s));
    for (std::size_t t = 0; t < own.size(); ++t)
      if (own[t] != kIgnoredLabel && (own[t] < 0 || own[t] >= vocabulary))
        bad(fmt::format("sequence {}, position {}: label {}; expected -100 or an id below {}", s, t, own[t], vocabulary));
    if (std::ranges::all_of(own.subspan(1), [](std::int32_t label) { return label < 0; }))
      bad(fmt::format("sequence {} has no target", s));
  }
  return labels;
}

LabelOrigin read_label_origin(const std::filesystem::path& path) {
  const Hdf5File file = Hdf5File::open(path);
  const auto text = [&](const char* name) {
    return file.has_attribute("/", name) ? file.read_attribute<std::string>("/", name) : std::string();
  };
  return {text("model_sha256"), text("tokens_sha256"), text("version")};
}

std::vector<LabelSplit> list_labels(const Hdf5File& file) {
  std::vector<LabelSplit> splits;
  for (const std::string& split : split_groups(file)) {
    if (!file.exists(ids_of(split))) continue;
    const auto labels = file.read_all<std::int32_t>(ids_of(split));
    const auto offsets = file.read_all<std::uint64_t>(offsets_of(split));
    auto targets = std::ranges::count_if(labels, [](std::int32_t label) { return label >= 0; });
    for (const std::uint64_t first : offsets)  // no position predicts the first label of a sequence
      if (first < labels.size() && labels[first] >= 0) --targets;
    splits.push_back({split, labels.size(), static_cast<std::size_t>(targets), offsets.empty() ? 0 : offsets.size() - 1});
  }
  return splits;
}

}  // namespace expunge
