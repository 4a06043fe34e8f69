// A file lock that one process holds at a time, on any host, with the holder's description in the file.
#pragma once

#include <filesystem>
#include <string>

namespace expunge {

/// An open-file-description lock (fcntl F_OFD_SETLK) on a file with the holder's description. The system or the file server
/// drops the lock when the holder ends. Thus a killed process's file does not block. A file system without locks causes a
/// warning and gives no protection.
class FileLock {
 public:
  /// Takes the lock and writes this process's description. Throws Error(usage) with the other holder's description if another
  /// process holds it. Throws Error(output) if the file cannot be created or is not ours to write (a link, another owner).
  explicit FileLock(std::filesystem::path path);
  /// Removes the file and releases the lock.
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  bool try_lock();

  std::filesystem::path path_;
  int file_ = -1;
};

/// Whether a FileLock of ours holds the file or left it behind. Throws Error(output) if it cannot be opened.
bool is_lock_file(const std::filesystem::path& path);

}  // namespace expunge
