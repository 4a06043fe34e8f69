// Appendable columns: each change is made on a copy, which is then renamed over the file.
#include "io/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "expunge/error.h"
#include "io/files.h"
#include "io/hdf5_seal.h"

namespace expunge {
namespace {

constexpr std::uint64_t kChunk = 512;  // rows; small, because each change copies the file
constexpr std::uint64_t kTableLimit = std::uint64_t{1} << 30;

/// Applies `change` to a copy of `path` and replaces the file by the copy.
void replace(const std::filesystem::path& path, const std::function<void(Hdf5File&)>& change) {
  PendingFile pending(path);
  // Not std::filesystem::copy_file: it reports a full disk as "Input/output error".
  write_new_file(pending.temporary(), read_file(path, kTableLimit));
  Hdf5File file = Hdf5File::open_for_update(pending.temporary());
  change(file);
  commit_sealed(file, pending);
}

}  // namespace

Columns::Columns(std::filesystem::path file, std::vector<Column> columns)
    : file_(std::move(file)), columns_(std::move(columns)) {
  if (std::filesystem::exists(file_)) {
    add_missing();
    validate();
    return;
  }
  PendingFile pending(file_);
  Hdf5File fresh = Hdf5File::create(pending.temporary());
  for (const Column& column : columns_) {
    if (column.kind == Kind::int64) {
      fresh.create_extendible<std::int64_t>(column.path, kChunk);
    } else {
      fresh.create_extendible<double>(column.path, kChunk);
    }
  }
  commit_sealed(fresh, pending);
}

void Columns::add_missing() {
  std::vector<std::string> missing;
  std::uint64_t rows = 0;
  {
    const Hdf5File file = Hdf5File::open(file_);
    for (const Column& column : columns_)
      if (column.added && !file.exists(column.path)) missing.push_back(column.path);
    if (missing.empty()) return;
    rows = file.size<std::int64_t>(columns_.front().path);
  }
  const std::vector<double> unknown(rows, std::numeric_limits<double>::quiet_NaN());
  replace(file_, [&](Hdf5File& file) {
    for (const std::string& path : missing) {
      file.create_extendible<double>(path, kChunk);
      file.append<double>(path, unknown);
    }
  });
}

void Columns::validate() {
  const Hdf5File file = Hdf5File::open(file_);
  bool first = true;
  for (const auto& [path, kind, added] : columns_) {
    const std::uint64_t size = kind == Kind::int64 ? file.size<std::int64_t>(path) : file.size<double>(path);
    if (file.shape(path).size() != 1) {
      fail(ExitCode::bad_input,
           fmt::format("{}: {}: expected one dimension, found {}", file_.string(), path, file.shape(path).size()));
    }
    if (!first && size != rows_) {
      fail(ExitCode::bad_input, fmt::format("{}: column {} has {} rows, {} has {}: the file is damaged", file_.string(), path,
                                            size, columns_.front().path, rows_));
    }
    rows_ = size;
    first = false;
  }
}

void Columns::annotate(const std::function<void(Hdf5File&)>& change) { replace(file_, change); }

void Columns::append_rows(std::span<const std::vector<Value>> rows) {
  replace(file_, [&](Hdf5File& file) {
    for (const std::vector<Value>& values : rows) {
      check(values.size() == columns_.size(), "a row has one value a column");
      for (std::size_t i = 0; i < values.size(); ++i) {
        check((columns_[i].kind == Kind::int64) == std::holds_alternative<std::int64_t>(values[i]),
              "a value is of its column's kind");
        std::visit([&]<typename T>(const T& value) { file.append<T>(columns_[i].path, std::span(&value, 1)); }, values[i]);
      }
    }
  });
  rows_ += rows.size();
}

void Columns::truncate_after(const std::string& column, std::int64_t last) {
  const std::vector<std::int64_t> keys = read_int64(column);
  const auto out_of_order = std::adjacent_find(keys.begin(), keys.end(), std::greater_equal<>());
  if (out_of_order != keys.end()) {
    fail(ExitCode::bad_input,
         fmt::format("{}: {}: row {} does not increase", file_.string(), column, out_of_order - keys.begin() + 1));
  }
  const auto keep = static_cast<std::uint64_t>(std::upper_bound(keys.begin(), keys.end(), last) - keys.begin());
  if (keep == rows_) return;
  replace(file_, [&](Hdf5File& file) {
    for (const Column& each : columns_) file.truncate(each.path, keep);
  });
  rows_ = keep;
}

std::vector<std::int64_t> Columns::read_int64(const std::string& column) const {
  return Hdf5File::open(file_).read_all<std::int64_t>(column);
}

std::vector<double> Columns::read_float64(const std::string& column) const {
  return Hdf5File::open(file_).read_all<double>(column);
}

}  // namespace expunge
