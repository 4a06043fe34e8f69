// Plain files: reading whole or in pieces, atomic writing, flushing to disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/staging.h"

namespace expunge {

class Descriptor;

/// The operating system's message for an errno.
std::string system_reason(int error);

/// Kind of a path that is not a plain file: "a folder", "a named pipe", "a device", "a socket". Empty for a plain file and
/// for a missing one.
std::string other_kind(const std::filesystem::path& path);

/// A plain file, open for reading. Opening never blocks: pipes, devices, sockets and folders are refused.
class InputFile {
 public:
  /// Throws Error(bad_input) if the file cannot be opened, is not a plain file or holds more than `max_bytes`.
  explicit InputFile(const std::filesystem::path& path, std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max());
  ~InputFile();
  InputFile(InputFile&&) noexcept;

  /// Size in bytes when it was opened.
  std::uint64_t size() const { return size_; }
  /// Fills the buffer with the next bytes and returns their number; 0 at the end. Throws Error(bad_input).
  std::size_t read(std::span<char> buffer);
  int descriptor() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<Descriptor> file_;
  std::uint64_t size_ = 0;
};

/// Reads a whole file. Throws Error(bad_input) if it cannot be read, is not a plain file or holds more than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// The entries of a folder, sorted by name. Throws Error(bad_input).
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

/// The absolute path without "." and "..": outputs and recorded options use it, so that it holds in any working folder.
std::filesystem::path whole_path(const std::filesystem::path& path);

/// The first of NAME, NAME-2, NAME-3, ... that is free.
std::filesystem::path free_name(const std::filesystem::path& path);

/// Creates a folder and its missing parents. Throws Error(output), also if a dangling link stands in its place.
void make_folder(const std::filesystem::path& folder);

/// Flushes a file's content, or a folder's entries, from memory to disk. Throws Error(output).
void sync_to_disk(const std::filesystem::path& path);

/// What happens to an existing file at an output's path.
enum class Existing { keep, replace };

/// Renames a flushed file or folder and flushes the folder's entries. Existing::keep replaces nothing but an empty folder by
/// a folder. Throws Error(output).
void rename_into_place(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

/// A file under construction: write to temporary(), then commit(). Until then `path` keeps its old content or absence in any
/// case. The temporary lies in a Staging of its own, so that two writers of one file do not collide.
class PendingFile {
 public:
  /// Throws Error(output) if anything but a plain file, such as a link, is in the way.
  explicit PendingFile(std::filesystem::path path, Existing existing = Existing::replace);

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes the closed temporary to disk and renames it to path(). Throws Error(output); with Existing::keep also if a file
  /// has appeared there meanwhile.
  void commit();

 private:
  std::filesystem::path path_;
  Staging staging_;
  std::filesystem::path temporary_;
  Existing existing_;
};

/// Throws Error(output) if `path` cannot be written: its folder is missing or refuses files, or something other than a plain
/// file is there. For outputs after long work. It creates and removes the temporary of a PendingFile and touches
/// nothing else.
void check_writable(const std::filesystem::path& path);
/// The same for a folder that would be created at `folder`, with its missing parents.
void check_folder_writable(const std::filesystem::path& folder);

/// Held while several files of one output become live, so that two writers do not mix their files: a flock() of the output's
/// folder. A file system without flock() gives no protection.
class FolderTurn {
 public:
  explicit FolderTurn(const std::filesystem::path& output);
  ~FolderTurn();
  FolderTurn(const FolderTurn&) = delete;

 private:
  int folder_;
};

/// Writes a file that must not exist yet, such as the temporary of a PendingFile. Throws Error(output).
void write_new_file(const std::filesystem::path& path, std::string_view content);
/// Writes `content` to `path`; a reader sees the old file or the new one, never a part. Throws Error(output).
void write_file_atomically(const std::filesystem::path& path, std::string_view content, Existing existing = Existing::replace);

/// The same with the bytes of another file. Throws Error(bad_input) if that file cannot be read.
void copy_file_atomically(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

/// A log to which lines are appended at once. Only links in /dev are followed. An existing log must be a plain file with one
/// name that belongs to this user or to the folder's owner. /dev/null, /dev/stdout, /dev/stderr and terminals are
/// allowed too.
class AppendFile {
 public:
  /// Throws Error(output), also if another process has the file open as a log.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  /// Cuts a plain file to its first `size` bytes. Throws Error(output).
  void shorten(std::uint64_t size);
  /// Throws Error(output) unless all of the text was written.
  void write(std::string_view text);

 private:
  std::filesystem::path path_;
  std::unique_ptr<Descriptor> file_;
};

/// Why an open file of this name must not be written although the system allows it: it is not a plain file, has several names
/// or belongs to another user. Empty if it may be written.
std::string why_not_ours(int file, const std::filesystem::path& path);

}  // namespace expunge
