// Finds and hashes a model's side files.
#include "store/tokenizer_files.h"

#include <fmt/format.h>

#include <sstream>

#include "expunge/error.h"
#include "io/hash.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSideFiles[] = {"config.json",       "generation_config.json", "tokenizer.model",
                                      "tokenizer.json",    "tokenizer_config.json",  "special_tokens_map.json",
                                      "added_tokens.json", "chat_template.jinja"};

}  // namespace

std::map<std::string, fs::path> side_files(const fs::path& folder) {
  std::map<std::string, fs::path> found;
  for (const char* name : kSideFiles)
    if (fs::exists(folder / name)) found[name] = folder / name;
  return found;
}

std::map<std::string, fs::path> side_files(const WeightsSource& source) {
  std::map<std::string, fs::path> found = side_files(source.side_files);
  if (source.kind == WeightsSource::Kind::initial) found["config.json"] = source.weights;
  return found;
}

std::string hash_side_files(const std::map<std::string, fs::path>& files) {
  std::string lines;
  for (const auto& [name, path] : files) lines += fmt::format("{}  {}\n", sha256_file(path), name);
  return lines;
}

std::map<std::string, std::string> read_hashes(const std::string& lines) {
  std::map<std::string, std::string> hashes;
  std::istringstream stream(lines);
  for (std::string hash, name; stream >> hash >> name;) hashes[name] = hash;
  return hashes;
}

void refuse_changed_side_files(const std::string& lines, const fs::path& folder, const std::map<std::string, fs::path>& files) {
  std::map<std::string, std::string> now = read_hashes(hash_side_files(files));
  const std::map<std::string, std::string> before = read_hashes(lines);
  for (const auto& [name, hash] : before)
    if (now[name] != hash)
      fail(ExitCode::bad_input,
           now[name].empty() ? fmt::format("{}: gone since the run began; restore it to resume (the original model's folder "
                                           "and RUN/model hold the same)",
                                           (folder / name).string())
                             : fmt::format("{}: changed since the run began (SHA-256 {}, was {}); restore it to resume (the "
                                           "original model's folder and RUN/model hold the same)",
                                           files.at(name).string(), now[name], hash));
  for (const auto& [name, path] : files)
    if (!before.contains(name))
      fail(ExitCode::bad_input, fmt::format("{}: did not exist when the run began; remove it to resume", path.string()));
}

}  // namespace expunge
