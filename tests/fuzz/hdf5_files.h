// HDF5 files for fuzz targets: a good one of each kind that expunge writes, and every reader of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace expunge::fuzz {

/// A file as its own writer makes it. Readers look for it under `name`.
struct GoodFile {
  std::string name;
  std::string bytes;
};

/// Tokens, labels, a checkpoint's index and its shard, evaluation, membership, tasks, metrics.
const std::vector<GoodFile>& good_files();

/// Puts `bytes` in the place of the good file number `which` and gives it to the readers of every kind. What they accept must
/// keep its promises; what they throw must be an Error about that file.
void read_all_ways(std::size_t which, std::string_view bytes);

}  // namespace expunge::fuzz
