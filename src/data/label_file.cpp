// Reading and writing label files.
#include "data/label_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5.h"

namespace expunge {

void write_labels(const std::filesystem::path& path, const std::string& name, const TokenSplit& split, const Labels& labels,
                  const std::function<void(Hdf5File&)>& annotate) {
  PendingFile pending(path);
  Hdf5File file = Hdf5File::create(pending.temporary());
  const std::string ids = "/" + name + "/ids", offsets = "/" + name + "/offsets";
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
  const std::string ids = "/" + name + "/ids", offsets = "/" + name + "/offsets";
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

}  // namespace expunge
