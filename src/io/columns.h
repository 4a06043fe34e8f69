// Appendable columns of equal length in one HDF5 file that is complete at every moment: metrics.h5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/hdf5.h"

namespace expunge {

/// A table stored as one 1-D dataset per column. Each change is made on a copy that replaces the file by one rename. Thus
/// even after a kill all columns have equal length. Throws Error(output) on writing, Error(bad_input) for any other kind of
/// file.
class Columns {
 public:
  enum class Kind { int64, float64 };
  struct Column {
    std::string path;  ///< dataset, e.g. "/train/loss"
    Kind kind;
    bool added = false;  ///< float64: a table of an earlier version may lack it, and gets NaN in the rows that it has
  };
  using Value = std::variant<std::int64_t, double>;

  /// Opens the table, or creates an empty one. An existing file must hold every column that is not `added`, of its kind and of
  /// equal length.
  Columns(std::filesystem::path file, std::vector<Column> columns);

  std::uint64_t rows() const { return rows_; }
  /// Changes attributes, not rows.
  void annotate(const std::function<void(Hdf5File&)>& change);
  /// A row has one value per column, in the order and of the kinds of the columns. On an error no row is appended.
  void append_rows(std::span<const std::vector<Value>> rows);
  /// Drops every row after the last one whose `column` (int64, increasing) is at most `last`.
  void truncate_after(const std::string& column, std::int64_t last);
  std::vector<std::int64_t> read_int64(const std::string& column) const;
  std::vector<double> read_float64(const std::string& column) const;

 private:
  void validate();
  void add_missing();

  std::filesystem::path file_;
  std::vector<Column> columns_;
  std::uint64_t rows_ = 0;
};

}  // namespace expunge
