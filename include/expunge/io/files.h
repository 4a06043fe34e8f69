// Plain files: read whole, written atomically, flushed to disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace expunge {

/// What the operating system says of an errno.
std::string system_reason(int error);

/// The whole file. Throws Error(bad_input) when it cannot be read or holds more than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// The entries of a folder, sorted by name. Throws Error(bad_input).
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

/// Flushes a file's content, or a folder's list of names, from the system's memory to disk. Throws Error(output).
void sync_to_disk(const std::filesystem::path& path);

/// A file in the making: write to temporary(), then commit(). Until then `path` keeps its old content or absence, whatever
/// happens; a leftover of a killed process is removed at the next attempt.
class PendingFile {
 public:
  /// Removes a leftover temporary. Two processes must not make the same file at once.
  explicit PendingFile(std::filesystem::path path);
  /// Removes the temporary if it was not committed.
  ~PendingFile();
  PendingFile(PendingFile&& other) noexcept;
  PendingFile& operator=(PendingFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes the temporary (which must be closed) to disk and renames it to path(). Throws Error(output).
  void commit();

 private:
  std::filesystem::path path_, temporary_;
};

/// Throws Error(output) where no file could be made at `path`: its folder is missing or takes no file, or it is there and not a
/// regular file. For outputs that come after long work: the temporary of a PendingFile is made and removed, nothing else is
/// touched.
void check_writable(const std::filesystem::path& path);
/// The same for a folder that would be made at `folder`, with those above it that are missing.
void check_folder_writable(const std::filesystem::path& folder);

/// A file that is not there yet, such as the temporary of a PendingFile. Throws Error(output).
void write_new_file(const std::filesystem::path& path, std::string_view content);
/// Replaces `path` by `content` so that a reader sees the old content or the new, never a part. Throws Error(output).
void write_file_atomically(const std::filesystem::path& path, std::string_view content);

}  // namespace expunge
