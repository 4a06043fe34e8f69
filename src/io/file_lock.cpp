// File locks by fcntl, with the holder's description in the file.
#include "io/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/log.h"
#include "core/process.h"
#include "expunge/error.h"
#include "io/descriptor.h"
#include "io/files.h"
#include "io/lock.h"

namespace expunge {
namespace {

constexpr std::uint64_t kHolderLimit = 4096;

/// Whether the open file still has that name: a holder removes its file when it releases the lock.
bool is_still_there(int file, const std::filesystem::path& path) {
  struct stat mine {
  }, named{};
  return ::fstat(file, &mine) == 0 && ::lstat(path.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
         mine.st_dev == named.st_dev;
}

/// Lets every group member who may write in the folder take its lock, whatever the umask of the lock's creator.
void let_group_lock(int file, const std::filesystem::path& path) {
  struct stat folder {};
  if (::stat(path.parent_path().c_str(), &folder) == 0 && (folder.st_mode & S_IWGRP) != 0)
    (void)!::fchmod(file, S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH);
}

/// Whether the file is empty or holds a text of describe_process().
bool holds_our_text(int file) {
  constexpr std::string_view kBegin = "process ", kHost = " on host ", kSince = ", since ";
  std::string text(4096, '\0');
  const ssize_t got = ::pread(file, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const std::size_t number = kBegin.size(), end = text.find_first_not_of("0123456789", number);
  const bool ours = text.starts_with(kBegin) && end != number && end != std::string::npos &&
                    text.compare(end, kHost.size(), kHost) == 0 && text.find(kSince, end) != std::string::npos &&
                    text.find('\n') == std::string::npos;
  return got == 0 || ours;
}

}  // namespace

LockResult lock_file(int file) {
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(file, F_OFD_SETLK, &whole) == 0) return LockResult::taken;
  return errno == EAGAIN || errno == EACCES ? LockResult::busy : LockResult::unsupported;
}

bool is_lock_file(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, ExitCode::output);
  return why_not_ours(file.get(), path).empty() && holds_our_text(file.get());
}

FileLock::FileLock(std::filesystem::path path) : path_(std::move(path)) {
  while (!try_lock()) {
  }
  // Best effort: the run's next write reports a full disk.
  const std::string holder = describe_process();
  if (::ftruncate(file_, 0) == 0) (void)!::pwrite(file_, holder.data(), holder.size(), 0);
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(file_);
}

bool FileLock::try_lock() {
  const auto refuse = [this](const std::string& why) {
    fail(ExitCode::output, fmt::format("cannot lock {}: {}; remove it if no job works there", path_.string(), why));
  };
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
  if (file_ < 0) refuse(errno == ELOOP ? "it is a symbolic link" : system_reason(errno));
  // Another user may have placed this file to make us write to it.
  if (const std::string why = why_not_ours(file_, path_); !why.empty() || !holds_our_text(file_)) {
    ::close(file_);
    refuse(why.empty() ? "expunge did not write it" : why);
  }
  let_group_lock(file_, path_);
  const LockResult result = lock_file(file_);
  if (result == LockResult::taken) {
    if (is_still_there(file_, path_)) return true;
    ::close(file_);
    return false;
  }
  if (result == LockResult::busy) {
    ::close(file_);
    const std::string other = read_file(path_, kHolderLimit);
    fail(ExitCode::usage, fmt::format("{}: in use by {}; wait for it to end, or work elsewhere. If its host is dead and the "
                                      "file system has not noticed, remove {}",
                                      path_.parent_path().string(), other.empty() ? "another process" : other, path_.string()));
  }
  log_warning(fmt::format("{}: this file system has no locks ({}): another job on this folder would not be noticed",
                          path_.string(), system_reason(errno)));
  return true;
}

}  // namespace expunge
