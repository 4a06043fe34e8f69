// Locks by fcntl.
#include "expunge/io/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "expunge/core/error.h"
#include "expunge/core/log.h"
#include "expunge/io/files.h"

namespace expunge {
namespace {

constexpr std::uint64_t kHolderLimit = 4096;

/// The open file is still the one of that name: a holder removes its file when it lets go.
bool is_still_there(int file, const std::filesystem::path& path) {
  struct stat mine {
  }, named{};
  return ::fstat(file, &mine) == 0 && ::stat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
         mine.st_dev == named.st_dev;
}

}  // namespace

FileLock::FileLock(std::filesystem::path path, const std::string& holder) : path_(std::move(path)) {
  while (!try_lock()) {
  }
  // Best effort: a full disk is met, and named, by what the run writes next.
  if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, holder.data(), holder.size(), 0);
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(file_);
}

bool FileLock::try_lock() {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file_ < 0) fail(ExitCode::output, fmt::format("cannot open {}: {}", path_.string(), system_reason(errno)));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file_, F_OFD_SETLK, &whole) == 0) {
    if (is_still_there(file_, path_)) return true;
    ::close(file_);
    return false;
  }
  const int error = errno;
  if (error == EAGAIN || error == EACCES) {
    ::close(file_);
    const std::string other = read_file(path_, kHolderLimit);
    fail(ExitCode::usage, fmt::format("{}: in use by {}; wait for it to end, or work elsewhere. If its host is dead and the "
                                      "file system has not noticed, remove {}",
                                      path_.parent_path().string(), other.empty() ? "another process" : other, path_.string()));
  }
  log_warning(fmt::format("{}: this file system has no locks ({}): another job on this folder would not be noticed",
                          path_.string(), system_reason(error)));
  return true;
}

}  // namespace expunge
