// Plain files on POSIX; every error names the file and the system's reason.
#include "io/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "expunge/error.h"
#include "io/descriptor.h"
#include "io/lock.h"

namespace expunge {

namespace fs = std::filesystem;

std::string system_reason(int error) { return std::generic_category().message(error); }

namespace {

std::string kind_name(fs::file_type type) {
  switch (type) {
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::fifo:
      return "a named pipe";
    case fs::file_type::socket:
      return "a socket";
    case fs::file_type::character:
    case fs::file_type::block:
      return "a device";
    default:
      return {};
  }
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// Describes what prevents a file at `path`; empty if nothing or a plain file is there.
std::string obstacle(const fs::path& path) {
  std::error_code unknown;
  const fs::file_status status = fs::symlink_status(path, unknown);
  if (fs::is_symlink(status)) return "it is a symbolic link; give the file itself";
  const std::string kind = kind_name(status.type());
  return kind.empty() ? kind : fmt::format("it is {}; expected a plain file, or none yet", kind);
}

/// Checks a PendingFile's path before anything is written into its folder.
fs::path free_of_obstacles(fs::path path) {
  if (const std::string why = obstacle(path); !why.empty())
    fail(ExitCode::output, fmt::format("{}: cannot be written: {}", path.string(), why));
  return path;
}

/// Renames only if `to` does not exist; false, with errno, on failure.
bool rename_to_free_name(const fs::path& from, const fs::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno != EINVAL && errno != ENOSYS && errno != ENOTSUP) return false;
  // Network file systems lack that call. A folder replaces only an empty folder. A file gets a second name, then loses the
  // first.
  if (fs::is_directory(from)) return ::rename(from.c_str(), to.c_str()) == 0;
  return ::link(from.c_str(), to.c_str()) == 0 && ::unlink(from.c_str()) == 0;
}

void write_whole(const Descriptor& file, const fs::path& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(ExitCode::output, fmt::format("cannot write {}: {}", path.string(), system_reason(errno)));
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

/// Opens a log; follows links only in /dev, where they belong to the system.
std::unique_ptr<Descriptor> open_log(const fs::path& path) {
  std::error_code unknown;
  const fs::path folder = fs::canonical(folder_of(path), unknown);
  const bool of_system = folder == "/dev" || folder == "/dev/pts";
  const int flags = O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | (of_system ? 0 : O_CREAT | O_NOFOLLOW);
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::output, fmt::format("{}: cannot be appended to: {}", path.string(), why));
  };
  if (!of_system)
    if (const std::string why = obstacle(path); !why.empty()) refuse(why);
  auto file = std::make_unique<Descriptor>(path, flags, ExitCode::output);
  struct stat status {
  }, null{};
  if (::fstat(file->get(), &status) != 0) refuse(system_reason(errno));
  const bool is_null = S_ISCHR(status.st_mode) && ::stat("/dev/null", &null) == 0 && status.st_rdev == null.st_rdev;
  const bool of_process = of_system && path.filename().string().starts_with("std");
  if (!is_null && !of_process && ::isatty(file->get()) == 0)
    if (const std::string why = why_not_ours(file->get(), path); !why.empty()) refuse(why);
  ::fcntl(file->get(), F_SETFL, O_APPEND);  // writes wait for a full pipe or terminal
  return file;
}

}  // namespace

std::string other_kind(const fs::path& path) {
  std::error_code unknown;
  return kind_name(fs::status(path, unknown).type());
}

InputFile::InputFile(const fs::path& path, std::uint64_t max_bytes) : path_(path) {
  // Also checked before opening, because opening a device may act on it.
  const auto refuse = [&](const std::string& kind) {
    fail(ExitCode::bad_input, fmt::format("cannot read {}: it is {}; expected a plain file", path.string(), kind));
  };
  if (const std::string kind = other_kind(path); !kind.empty()) refuse(kind);
  file_ = std::make_unique<Descriptor>(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, ExitCode::bad_input);
  struct stat status {};
  if (::fstat(file_->get(), &status) != 0 || !S_ISREG(status.st_mode)) refuse("no plain file");
  size_ = static_cast<std::uint64_t>(status.st_size);
  if (size_ > max_bytes)
    fail(ExitCode::bad_input, fmt::format("{} has {} bytes; expected at most {}", path.string(), size_, max_bytes));
}

InputFile::~InputFile() = default;
InputFile::InputFile(InputFile&&) noexcept = default;

std::size_t InputFile::read(std::span<char> buffer) {
  for (;;) {
    const ssize_t got = ::read(file_->get(), buffer.data(), buffer.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) fail(ExitCode::bad_input, fmt::format("cannot read {}: {}", path_.string(), system_reason(errno)));
  }
}

int InputFile::descriptor() const { return file_->get(); }

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  InputFile file(path, max_bytes);
  std::string content;
  std::string block(1 << 16, '\0');
  while (const std::size_t got = file.read(block)) {
    content.append(block, 0, got);
    if (content.size() > max_bytes)
      fail(ExitCode::bad_input, fmt::format("{} has more than the expected {} bytes", path.string(), max_bytes));
  }
  return content;
}

std::vector<fs::path> list_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) entries.push_back(it->path());
  if (error) fail(ExitCode::bad_input, fmt::format("cannot list the folder {}: {}", folder.string(), error.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

void sync_to_disk(const fs::path& path) {
  const Descriptor file(path, O_RDONLY, ExitCode::output);
  if (::fsync(file.get()) == 0) return;
  if (errno == EINVAL && fs::is_directory(path)) return;  // some file systems cannot flush a folder
  fail(ExitCode::output, fmt::format("cannot flush {} to disk: {}", path.string(), system_reason(errno)));
}

fs::path whole_path(const fs::path& path) {
  const fs::path whole = fs::absolute(path), plain = whole.lexically_normal();
  if (plain == whole) return plain;
  // After a symbolic link, ".." may lead elsewhere than the text says.
  std::error_code unknown;
  const fs::path real = fs::weakly_canonical(whole, unknown);
  return unknown || real == fs::weakly_canonical(plain, unknown) ? plain : real;
}

fs::path free_name(const fs::path& path) {
  fs::path name = path;
  for (int number = 2; fs::exists(fs::symlink_status(name)); ++number) name = fmt::format("{}-{}", path.string(), number);
  return name;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error && !fs::is_directory(folder, error)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) fail(ExitCode::output, fmt::format("{}: cannot make the folder: {}", folder.string(), error.message()));
}

void rename_into_place(const fs::path& from, const fs::path& to, Existing existing) {
  const bool replaces = existing == Existing::replace || (fs::is_directory(from) && !fs::is_symlink(to));
  if (replaces ? ::rename(from.c_str(), to.c_str()) != 0 : !rename_to_free_name(from, to)) {
    const int error = errno;
    if (error == EEXIST || error == ENOTEMPTY)
      fail(ExitCode::output,
           fmt::format("{}: another process created it meanwhile; it is kept and this output is not written", to.string()));
    fail(ExitCode::output, fmt::format("cannot rename {} to {}: {}", from.string(), to.string(), system_reason(error)));
  }
  sync_to_disk(folder_of(to));
}

PendingFile::PendingFile(fs::path path, Existing existing)
    : path_(free_of_obstacles(std::move(path))),
      staging_(folder_of(path_), path_.filename().string()),
      temporary_(staging_.folder() / path_.filename()),
      existing_(existing) {}

void PendingFile::commit() {
  sync_to_disk(temporary_);
  rename_into_place(temporary_, free_of_obstacles(path_), existing_);
}

void check_writable(const fs::path& path) {
  const fs::path folder = folder_of(path);
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::output, fmt::format("{}: cannot be written: {}", path.string(), why));
  };
  if (const std::string why = obstacle(path); !why.empty()) refuse(why);
  if (std::error_code error; !fs::exists(folder, error)) refuse(fmt::format("there is no folder {}", folder.string()));
  // Permissions do not tell what a file system allows, so try the first step of a write and undo it.
  const PendingFile attempt(path);
  write_new_file(attempt.temporary(), "");
}

void check_folder_writable(const fs::path& folder) {
  std::error_code error;
  fs::path there = fs::absolute(folder, error);
  while (!error && !fs::exists(there, error) && there.has_parent_path() && there != there.root_path())
    there = there.parent_path();
  if (error) fail(ExitCode::output, fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
  const Staging attempt(there, folder.filename().string());
}

void write_new_file(const fs::path& path, std::string_view content) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL, ExitCode::output);
  write_whole(file, path, content);
  if (!file.close()) fail(ExitCode::output, fmt::format("cannot write {}: {}", path.string(), system_reason(errno)));
}

void write_file_atomically(const fs::path& path, std::string_view content, Existing existing) {
  PendingFile pending(path, existing);
  write_new_file(pending.temporary(), content);
  pending.commit();
}

void copy_file_atomically(const fs::path& from, const fs::path& to, Existing existing) {
  PendingFile pending(to, existing);
  InputFile source(from);
  Descriptor copy(pending.temporary(), O_WRONLY | O_CREAT | O_EXCL, ExitCode::output);
  std::string block(1 << 20, '\0');
  while (const std::size_t got = source.read(block)) write_whole(copy, to, std::string_view(block).substr(0, got));
  if (!copy.close()) fail(ExitCode::output, fmt::format("cannot write {}: {}", to.string(), system_reason(errno)));
  pending.commit();
}

std::string why_not_ours(int file, const fs::path& path) {
  struct stat status {
  }, folder{};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return "it is no plain file";
  if (status.st_nlink != 1) return "it has several names (hard links)";
  if (status.st_uid == ::geteuid()) return {};
  if (::stat(folder_of(path).c_str(), &folder) == 0 && folder.st_uid == status.st_uid) return {};
  return "it belongs neither to this user nor to the owner of its folder";
}

FolderTurn::FolderTurn(const fs::path& output)
    : folder_(::open(folder_of(output).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  // Any reader of the folder could hold the lock for ever, so wait only for a limited time.
  constexpr int kTurns = 200;
  constexpr std::chrono::milliseconds kTurn{50};
  for (int turn = 0; folder_ >= 0 && turn < kTurns && ::flock(folder_, LOCK_EX | LOCK_NB) != 0; ++turn)
    std::this_thread::sleep_for(kTurn);
}
FolderTurn::~FolderTurn() {
  if (folder_ >= 0) ::close(folder_);
}

AppendFile::AppendFile(fs::path path) : path_(std::move(path)), file_(open_log(path_)) {
  struct stat status {};
  if (::fstat(file_->get(), &status) == 0 && S_ISREG(status.st_mode) && lock_file(file_->get()) == LockResult::busy)
    fail(ExitCode::output, fmt::format("{}: another process appends to it; give another name", path_.string()));
}

void AppendFile::shorten(std::uint64_t size) {
  if (::ftruncate(file_->get(), static_cast<off_t>(size)) != 0)
    fail(ExitCode::output, fmt::format("cannot shorten {}: {}", path_.string(), system_reason(errno)));
}

AppendFile::~AppendFile() = default;

void AppendFile::write(std::string_view text) { write_whole(*file_, path_, text); }

}  // namespace expunge
