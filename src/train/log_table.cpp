// Replacing damaged tables.
#include "train/log_table.h"

#include <fmt/format.h>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/io/files.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLimit = std::uint64_t{1} << 30;

/// What is wrong with the table; empty for nothing.
std::string damage_of(const fs::path& path, const std::vector<Columns::Column>& columns) {
  try {
    (void)Columns(path, columns);
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input) throw;
    return error.what();
  }
  return {};
}

}  // namespace

Columns open_log_table(const fs::path& path, const std::vector<Columns::Column>& columns, const fs::path& checkpoint) {
  const fs::path copy = checkpoint / path.filename();
  const bool has_copy = !checkpoint.empty() && fs::exists(copy);
  const std::string damage = fs::exists(path) ? damage_of(path, columns) : has_copy ? "missing" : "";
  if (damage.empty()) return Columns(path, columns);
  if (has_copy) {
    log_warning(fmt::format("{}: damaged ({}); put back from {}", path.string(), damage, copy.string()));
    write_file_atomically(path, read_file(copy, kLimit));
  } else {
    fs::path aside = path;
    aside += ".damaged";
    log_warning(fmt::format("{}: damaged ({}); kept as {}, and begun anew", path.string(), damage, aside.string()));
    fs::rename(path, aside);
  }
  return Columns(path, columns);
}

}  // namespace expunge
