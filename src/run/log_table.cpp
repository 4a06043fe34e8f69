// Opens tables and replaces damaged ones.
#include "run/log_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/log.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5_seal.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLimit = std::uint64_t{1} << 30;

Columns open(const fs::path& path, const std::vector<Columns::Column>& columns, std::int64_t last_step) {
  Columns table(path, columns);
  table.truncate_after(columns.front().path, last_step);
  return table;
}

/// Describes the damage of a table; empty for none.
std::string damage_of(const fs::path& path, const std::vector<Columns::Column>& columns, std::int64_t last_step) {
  try {
    if (read_seal(path).state != Seal::State::whole) return fmt::format("{}: {}", path.string(), kBrokenSeal);
    (void)open(path, columns, last_step);
  } catch (const Error& error) {
    if (error.code() != ExitCode::bad_input) throw;
    return error.what();
  }
  return {};
}

/// True if the table's rows up to `last_step` equal those of a checkpoint's copy, bit for bit. A column that the copy lacks
/// is of a split that was not evaluated then.
bool has_rows_of(const fs::path& copy, const fs::path& path, const std::vector<Columns::Column>& columns,
                 std::int64_t last_step) {
  const Hdf5File table = Hdf5File::open(path), taken = Hdf5File::open(copy);
  const std::vector<std::int64_t> steps = taken.read_all<std::int64_t>(columns.front().path);
  const auto rows = static_cast<std::size_t>(std::ranges::count_if(steps, [&](std::int64_t s) { return s <= last_step; }));
  const auto same = [&](const auto& ours, const auto& theirs) {
    return ours.size() >= rows && theirs.size() >= rows && std::memcmp(ours.data(), theirs.data(), rows * sizeof(ours[0])) == 0;
  };
  return std::ranges::all_of(columns, [&](const Columns::Column& column) {
    if (!taken.exists(column.path)) return true;
    return column.kind == Columns::Kind::int64
               ? same(table.read_all<std::int64_t>(column.path), taken.read_all<std::int64_t>(column.path))
               : same(table.read_all<double>(column.path), taken.read_all<double>(column.path));
  });
}

}  // namespace

Columns open_log_table(const fs::path& path, const std::vector<Columns::Column>& columns, std::int64_t last_step,
                       const fs::path& checkpoint) {
  const fs::path copy = checkpoint / path.filename();
  const bool has_copy = !checkpoint.empty() && fs::exists(copy);
  const bool there = fs::exists(path);
  std::string damage = there ? damage_of(path, columns, last_step) : "";
  if (there && has_copy && damage.empty() && !has_rows_of(copy, path, columns, last_step))
    damage = "its rows are not those of the checkpoint's copy";
  if (there ? damage.empty() : !has_copy) return open(path, columns, last_step);
  if (has_copy) {
    // A run that continues in another folder copies the table; nothing was lost.
    const bool own = fs::weakly_canonical(checkpoint).parent_path().parent_path() == fs::weakly_canonical(path).parent_path();
    if (there || own)
      log_warning(fmt::format("{}: {}; put back from {}", path.string(),
                              there ? fmt::format("damaged ({})", damage) : "missing", copy.string()));
    if (there) fs::rename(path, free_name(path.string() + ".damaged"));
    write_file_atomically(path, read_file(copy, kLimit), Existing::keep);
  } else {
    const fs::path aside = free_name(path.string() + ".damaged");
    log_warning(fmt::format("{}: damaged ({}); kept as {}, and started anew", path.string(), damage, aside.string()));
    std::error_code error;
    fs::rename(path, aside, error);
    if (error)
      fail(ExitCode::output, fmt::format("{}: cannot be renamed to {}: {}", path.string(), aside.string(), error.message()));
  }
  return open(path, columns, last_step);
}

}  // namespace expunge
