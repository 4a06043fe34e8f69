// Appendable columns of equal length in one HDF5 file, whole at every moment: metrics.h5.
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

/// A table kept as one 1-D dataset a column. Every change is made on a copy that replaces the file by one rename, so a reader
/// or a kill at any moment finds all columns equally long. Errors: Error(output) when writing, Error(bad_input) for a file
/// that is not such a table.
class Columns {
 public:
  enum class Kind { int64, float64 };
  struct Column {
    std::string path;  ///< dataset, e.g. "/train/loss"
    Kind kind;
    bool added = false;  ///< float64: a table of an earlier version may lack it, and gets NaN in the rows that it has
  };
  using Value = std::variant<std::int64_t, double>;

  /// Opens the table, or creates it empty. An existing file must hold every column that is not `added`, of its kind and all
  /// equally long.
  Columns(std::filesystem::path file, std::vector<Column> columns);

  std::uint64_t rows() const { return rows_; }
  /// Changes that are none of rows: attributes.
  void annotate(const std::function<void(Hdf5File&)>& change);
  /// A row has one value a column, in the order of the columns and of their kinds. All rows or, on an error, none.
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
