// Files with one JSON object per line, plain or gzip-compressed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/json.h"

namespace expunge {

/// Limit on the decompressed bytes of a file, because all its objects are in memory at once.
inline constexpr std::uint64_t kJsonLinesLimit = std::uint64_t{256} << 20;

struct JsonLines {
  std::vector<JsonObject> objects;  ///< in the order of the file; each knows its file and line
  std::string sha256;               ///< of the file as stored
};

/// Reads a whole file and skips empty lines. Throws Error(bad_input) naming the line that is not valid UTF-8, is not a JSON
/// object or exceeds a limit; also for a file without objects.
JsonLines read_json_lines(const std::filesystem::path& path);

}  // namespace expunge
