// Files of one JSON object a line, plain or gzip-compressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/json.h"

namespace expunge {

/// Bytes of a file, decompressed: all its objects are in memory at once.
inline constexpr std::uint64_t kJsonLinesLimit = std::uint64_t{256} << 20;

struct JsonLines {
  std::vector<JsonObject> objects;  ///< in the order of the file; each knows its file and line
  std::string sha256;               ///< of the file as stored
};

/// Reads a whole file; empty lines are passed over. Throws Error(bad_input) that names the line that is not valid UTF-8 or not
/// a JSON object or exceeds a limit, or where there is no object at all.
JsonLines read_json_lines(const std::filesystem::path& path);

}  // namespace expunge
