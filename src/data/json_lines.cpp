// Reads JSON objects from lines.
#include "data/json_lines.h"

#include <fmt/format.h>

#include "data/corpus.h"
#include "data/line_reader.h"
#include "expunge/error.h"

namespace expunge {

JsonLines read_json_lines(const std::filesystem::path& path) {
  Sha256 hash;
  LineReader reader(path, CorpusReader::kMaxLine, hash);
  JsonLines result;
  std::uint64_t bytes = 0;
  for (std::string line; reader.next(line);) {
    // The decompressed size of a gzip stream is not known before.
    if (bytes += line.size() + 1; bytes > kJsonLinesLimit)
      fail(ExitCode::bad_input, fmt::format("{}: the file holds more than {} bytes, which are kept in memory; split it",
                                            reader.where(), kJsonLinesLimit));
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    result.objects.emplace_back(parse_json(line, reader.where()), reader.where());
  }
  if (result.objects.empty())
    fail(ExitCode::bad_input, fmt::format("{}: expected one JSON object a line, found none", path.string()));
  result.sha256 = hash.hex();
  return result;
}

}  // namespace expunge
