// Label files: training targets that replace the ids of sequences.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "io/hdf5.h"

namespace expunge {

/// Layout of a label file (HDF5): like its token file, /<domain>/<split>/ids and offsets, but ids are int32 labels. Label t
/// of a sequence is the target of position t - 1; -100 means no target.
inline constexpr std::int32_t kIgnoredLabel = -100;

/// Labels of one split: (tokens of the split), sequence after sequence.
using Labels = std::vector<std::int32_t>;

/// Writes the labels of "domain/split" by one rename; `annotate` may add content. Throws Error(output), also if the file
/// exists.
void write_labels(const std::filesystem::path& path, const std::string& name, const TokenSplit& split, const Labels& labels,
                  const std::function<void(Hdf5File&)>& annotate = {});

/// The labels of "domain/split", checked against the split: equal offsets, every label -100 or an id below `vocabulary`, a
/// target in each sequence. Nullopt if the file has no such split. Throws Error(bad_input).
std::optional<Labels> read_labels(const std::filesystem::path& path, const std::string& name, const TokenSplit& split,
                                  int vocabulary);

/// What a label file says of its making; empty where it does not.
struct LabelOrigin {
  std::string model_sha256;  ///< the model that the labels were drawn from
  std::string tokens_sha256, version;
};
LabelOrigin read_label_origin(const std::filesystem::path& path);

struct LabelSplit {
  std::string split;  ///< "domain/split"
  std::size_t labels, targets, sequences;
};
/// The splits of a label file; none for another file. Throws Error(bad_input).
std::vector<LabelSplit> list_labels(const Hdf5File& file);

}  // namespace expunge
