// Side files of a model: config.json and the files of its tokenizer.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "store/weights.h"

namespace expunge {

/// Maps the names of a model folder's existing side files to their paths.
std::map<std::string, std::filesystem::path> side_files(const std::filesystem::path& folder);
/// The same for a model that a run begins from; the config.json of an initial model may have another name.
std::map<std::string, std::filesystem::path> side_files(const WeightsSource& source);

/// Lines in the format of sha256sum, sorted by name. Throws Error(bad_input).
std::string hash_side_files(const std::map<std::string, std::filesystem::path>& files);
/// Maps names to hashes in such lines.
std::map<std::string, std::string> read_hashes(const std::string& lines);
/// Throws Error(bad_input) that names the first file of a folder that differs from `lines`.
void refuse_changed_side_files(const std::string& lines, const std::filesystem::path& folder,
                               const std::map<std::string, std::filesystem::path>& files);

}  // namespace expunge
