// Creates, locks, finds and removes staging folders.
#include "io/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "core/process.h"
#include "expunge/error.h"
#include "io/files.h"
#include "io/lock.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kInfix = ".expunge-", kLockName = ".lock", kMark = "expunge staging folder\n";
constexpr std::size_t kRandomDigits = 12;
constexpr std::size_t kLongestName = 200;  // of the output's name within a staging folder's name, which may have 255 bytes
constexpr int kAttempts = 100;

std::string random_digits() {
  std::random_device device;
  const auto bits = (std::uint64_t{device()} << 32 | device()) & ((std::uint64_t{1} << (4 * kRandomDigits)) - 1);
  return fmt::format("{:0{}x}", bits, kRandomDigits);
}

std::string prefix_of(std::string_view name) { return fmt::format(".{}{}", name.substr(0, kLongestName), kInfix); }

bool has_staging_name(const std::string& name) {
  if (name.size() <= kRandomDigits + kInfix.size() || name.front() != '.') return false;
  const std::size_t digits = name.size() - kRandomDigits;
  return name.find_first_not_of("0123456789abcdef", digits) == std::string::npos &&
         name.compare(digits - kInfix.size(), kInfix.size(), kInfix) == 0;
}

/// Whether `path` is a folder, not a link, that belongs to this user or to the owner of its parent folder.
bool is_trusted_folder(const fs::path& path) {
  struct stat own {
  }, parent{};
  return ::lstat(path.c_str(), &own) == 0 && S_ISDIR(own.st_mode) && ::stat(path.parent_path().c_str(), &parent) == 0 &&
         (own.st_uid == ::geteuid() || own.st_uid == parent.st_uid);
}

/// An owned descriptor. Unlike Descriptor, it does not throw.
class OpenFile {
 public:
  OpenFile(const fs::path& path, int flags, mode_t mode = 0) : file_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~OpenFile() {
    if (file_ >= 0) ::close(file_);
  }
  OpenFile(const OpenFile&) = delete;
  int get() const { return file_; }
  int release() { return std::exchange(file_, -1); }

 private:
  int file_;
};

bool is_plain(int file) {
  struct stat status {};
  return file >= 0 && ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

/// The mark in a lock file: ours, or empty if its creator was killed at once.
enum class Mark { ours, empty, none };
Mark mark_of(int file) {
  std::string text(kMark.size(), '\0');
  const ssize_t got = ::pread(file, text.data(), text.size(), 0);
  if (got == 0) return Mark::empty;
  return got == static_cast<ssize_t>(kMark.size()) && text == kMark ? Mark::ours : Mark::none;
}

void remove_contents(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored))
    entries.push_back(it->path());
  // Remove the lock last: until then it proves that the rest is ours.
  for (const fs::path& entry : entries)
    if (entry.filename() != kLockName) fs::remove_all(entry, ignored);
  ::unlink((folder / kLockName).c_str());
  ::rmdir(folder.c_str());
}

void remove_if_stale(const fs::path& folder, const std::function<void(const fs::path&)>& rescue) {
  if (!is_trusted_folder(folder)) return;
  ::rmdir(folder.c_str());  // removes a folder whose creator was killed before it created the lock
  const OpenFile lock(folder / kLockName, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (!is_plain(lock.get())) return;
  const Mark before = mark_of(lock.get());
  if (before == Mark::none || lock_file(lock.get()) != LockResult::taken) return;
  if (mark_of(lock.get()) == Mark::ours) {
    if (rescue) rescue(folder);
    return remove_contents(folder);
  }
  // The mark is written before anything else: without it, only a lone lock can be ours.
  std::error_code unknown;
  if (std::distance(fs::directory_iterator(folder, unknown), {}) != 1 || unknown) return;
  remove_contents(folder);
}

/// Creates the folder and takes its lock; nullopt if another process removed it in between.
std::optional<int> try_to_make(const fs::path& folder, const fs::path& output) {
  const auto refuse = [&](int error) {
    fail(ExitCode::output,
         fmt::format("{}: cannot be written: in {}: {}", output.string(), folder.parent_path().string(), system_reason(error)));
  };
  if (::mkdir(folder.c_str(), 0777) != 0) {
    if (errno == EEXIST) return std::nullopt;
    refuse(errno);
  }
  const fs::path path = folder / kLockName;
  OpenFile lock(path, O_RDWR | O_CREAT | O_EXCL, 0666);
  if (lock.get() < 0) {
    const int error = errno;
    ::rmdir(folder.c_str());
    if (error == ENOENT) return std::nullopt;
    refuse(error);
  }
  // Without locks on this file system, nothing is ever removed as stale.
  if (lock_file(lock.get()) == LockResult::busy) return std::nullopt;
  const std::string text = fmt::format("{}{}\n", kMark, describe_process());
  if (::pwrite(lock.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    const int error = errno;
    remove_contents(folder);
    refuse(error);
  }
  struct stat status {};
  if (::fstat(lock.get(), &status) != 0 || status.st_nlink == 0) return std::nullopt;
  return lock.release();
}

}  // namespace

Staging::Staging(const fs::path& parent, const std::string& name) {
  const fs::path where = parent.empty() ? fs::path(".") : parent;
  remove_stale_staging(where, name);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    folder_ = where / (prefix_of(name) + random_digits());
    if (const std::optional<int> lock = try_to_make(folder_, where / name)) {
      lock_ = *lock;
      return;
    }
  }
  fail(ExitCode::output, fmt::format("cannot write in {}: other processes remove new files there", where.string()));
}

Staging::Staging(Staging&& other) noexcept : folder_(std::move(other.folder_)), lock_(std::exchange(other.lock_, -1)) {}

Staging::~Staging() {
  if (lock_ < 0) return;
  remove_contents(folder_);
  ::close(lock_);
}

bool is_staging(const fs::path& path) {
  if (!has_staging_name(path.filename().string()) || !is_trusted_folder(path)) return false;
  const OpenFile lock(path / kLockName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return is_plain(lock.get()) && mark_of(lock.get()) != Mark::none;
}

void remove_stale_staging(const fs::path& parent, std::string_view name, const std::function<void(const fs::path&)>& rescue) {
  const std::string prefix = prefix_of(name);
  std::error_code error;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string entry = it->path().filename().string();
    const bool of_output = name.empty() || (entry.starts_with(prefix) && entry.size() == prefix.size() + kRandomDigits);
    if (of_output && has_staging_name(entry)) found.push_back(it->path());
  }
  for (const fs::path& folder : found) remove_if_stale(folder, rescue);
}

}  // namespace expunge
