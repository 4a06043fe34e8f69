// Plain files: read whole or in pieces, written atomically, flushed to disk.
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

/// What the operating system says of an errno.
std::string system_reason(int error);

/// What a path leads to that is no plain file ("a folder", "a named pipe", "a device", "a socket"); empty for a plain file and
/// where nothing is.
std::string other_kind(const std::filesystem::path& path);

/// A plain file, open for reading. Opening never waits: pipes, devices, sockets and folders are refused.
class InputFile {
 public:
  /// Throws Error(bad_input) where the file cannot be opened, is no plain file or holds more than `max_bytes`.
  explicit InputFile(const std::filesystem::path& path, std::uint64_t max_bytes = std::numeric_limits<std::uint64_t>::max());
  ~InputFile();
  InputFile(InputFile&&) noexcept;

  /// Bytes that it held when it was opened.
  std::uint64_t size() const { return size_; }
  /// The next bytes, at most a buffer full of them; 0 at the end. Throws Error(bad_input).
  std::size_t read(std::span<char> buffer);
  int descriptor() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<Descriptor> file_;
  std::uint64_t size_ = 0;
};

/// The whole file. Throws Error(bad_input) when it cannot be read, is no plain file or holds more than `max_bytes`.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);

/// The entries of a folder, sorted by name. Throws Error(bad_input).
std::vector<std::filesystem::path> list_folder(const std::filesystem::path& folder);

/// The absolute path, without "." and "..": what outputs and recorded options name, whatever folder a reader works in.
std::filesystem::path whole_path(const std::filesystem::path& path);

/// The first of NAME, NAME-2, NAME-3, ... that is free.
std::filesystem::path free_name(const std::filesystem::path& path);

/// Makes a folder, and those above it that are missing. Throws Error(output), also where a link stands in its place.
void make_folder(const std::filesystem::path& folder);

/// Flushes a file's content, or a folder's list of names, from the system's memory to disk. Throws Error(output).
void sync_to_disk(const std::filesystem::path& path);

/// What becomes of a file that stands where another one is to go.
enum class Existing { keep, replace };

/// Renames a file or folder, flushed before, and flushes the change of names. With Existing::keep nothing is ever replaced but
/// an empty folder by a folder. Throws Error(output).
void rename_into_place(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

/// A file in the making: write to temporary(), then commit(). Until then `path` keeps its old content or absence, whatever
/// happens. The temporary has a name of its own, in a Staging, so that two writers of one file do not meet in it.
class PendingFile {
 public:
  /// Throws Error(output) where something other than a plain file is in the way, such as a link.
  explicit PendingFile(std::filesystem::path path, Existing existing = Existing::replace);

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes the temporary (which must be closed) to disk and renames it to path(). Throws Error(output), with Existing::keep
  /// also where a file came to be there meanwhile.
  void commit();

 private:
  std::filesystem::path path_;
  Staging staging_;
  std::filesystem::path temporary_;
  Existing existing_;
};

/// Throws Error(output) where `path` cannot be written: its folder is missing or takes no file, or something is there and not a
/// regular file. For outputs that come after long work: the temporary of a PendingFile is made and removed, nothing else is
/// touched.
void check_writable(const std::filesystem::path& path);
/// The same for a folder that would be made at `folder`, with those above it that are missing.
void check_folder_writable(const std::filesystem::path& folder);

/// Held while several files of one output become live, so that two writers do not mix theirs: a flock() of the output's folder.
/// Where the file system has none, nothing is held.
class FolderTurn {
 public:
  explicit FolderTurn(const std::filesystem::path& output);
  ~FolderTurn();
  FolderTurn(const FolderTurn&) = delete;

 private:
  int folder_;
};

/// A file that is not there yet, such as the temporary of a PendingFile. Throws Error(output).
void write_new_file(const std::filesystem::path& path, std::string_view content);
/// Puts `content` at `path` so that a reader sees the old file or the new one, never a part. Throws Error(output).
void write_file_atomically(const std::filesystem::path& path, std::string_view content, Existing existing = Existing::replace);

/// The same with the bytes of another file. Throws Error(bad_input) where that cannot be read.
void copy_file_atomically(const std::filesystem::path& from, const std::filesystem::path& to, Existing existing);

/// A log, to which lines are appended as they come. No link is followed but those of /dev: an existing log is a plain file of
/// one name that belongs to this user or to the owner of its folder; /dev/null, /dev/stdout, /dev/stderr and terminals will do
/// too.
class AppendFile {
 public:
  /// Throws Error(output), also while another process has the file open so.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  /// Drops what is behind the first `size` bytes of a plain file. Throws Error(output).
  void shorten(std::uint64_t size);
  /// Throws Error(output) unless all of it was written.
  void write(std::string_view text);

 private:
  std::filesystem::path path_;
  std::unique_ptr<Descriptor> file_;
};

/// Why an open file of this name is not to be written, though the system would let us: it is no plain file, has other names, or
/// belongs to a stranger. Empty for none.
std::string why_not_ours(int file, const std::filesystem::path& path);

}  // namespace expunge
