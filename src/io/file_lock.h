// A file that one process at a time holds, on any host that sees it, and that says who does.
#pragma once

#include <filesystem>
#include <string>

namespace expunge {

/// An open-file-description lock (fcntl F_OFD_SETLK) over a file that holds the holder's description. The system, or the
/// server of a network file system, drops the lock with the process that holds it, however it ends, so a file that a killed
/// process left means nothing. Where the file system offers no locks there is a warning and no protection.
class FileLock {
 public:
  /// Takes the lock and writes who this process is; throws Error(usage) with the other holder's description where another
  /// process has it, Error(output) where the file cannot be made or is not ours to write: a link, or a stranger's.
  explicit FileLock(std::filesystem::path path);
  /// Removes the file and lets go.
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  bool try_lock();

  std::filesystem::path path_;
  int file_ = -1;
};

/// Whether a file was left by a FileLock of ours, or is held by one. Throws Error(output) where it cannot be opened.
bool is_lock_file(const std::filesystem::path& path);

}  // namespace expunge
