// What belongs to a model beside its weights: config.json and the files of its tokenizer.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "store/weights.h"

namespace expunge {

/// Name to path, of those that exist in a model's folder.
std::map<std::string, std::filesystem::path> side_files(const std::filesystem::path& folder);
/// Of a model that a run begins from: the config.json of an initial one may have another name.
std::map<std::string, std::filesystem::path> side_files(const ModelSource& source);

/// Lines as sha256sum prints them, in the order of the names. Throws Error(bad_input).
std::string hash_side_files(const std::map<std::string, std::filesystem::path>& files);
/// Name to hash, of such lines.
std::map<std::string, std::string> read_hashes(const std::string& lines);
/// Throws Error(bad_input) that names the first of a folder's files which is not what `lines` say.
void refuse_changed_side_files(const std::string& lines, const std::filesystem::path& folder,
                               const std::map<std::string, std::filesystem::path>& files);

}  // namespace expunge
