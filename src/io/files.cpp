// Plain files on POSIX: every failure names the file and the system's reason.
#include "expunge/io/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <utility>

#include "expunge/core/error.h"
#include "io/descriptor.h"

namespace expunge {

namespace fs = std::filesystem;

std::string system_reason(int error) { return std::generic_category().message(error); }

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const Descriptor file(path, O_RDONLY, ExitCode::bad_input);
  std::string content;
  std::string block(1 << 16, '\0');
  for (;;) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ExitCode::bad_input, fmt::format("cannot read {}: {}", path.string(), system_reason(errno)));
    if (got == 0) return content;
    content.append(block, 0, static_cast<std::size_t>(got));
    if (content.size() > max_bytes) {
      fail(ExitCode::bad_input, fmt::format("{} is larger than the {} bytes expected of it at most", path.string(), max_bytes));
    }
  }
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

PendingFile::PendingFile(fs::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += ".tmp";
  std::error_code error;
  fs::remove(temporary_, error);
  if (error && error != std::errc::not_a_directory) {
    fail(ExitCode::output, fmt::format("cannot write {}: {}", temporary_.string(), error.message()));
  }
}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})) {}

PendingFile::~PendingFile() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove(temporary_, ignored);
}

void PendingFile::commit() {
  sync_to_disk(temporary_);
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) {
    fail(ExitCode::output, fmt::format("cannot rename {} to {}: {}", temporary_.string(), path_.string(), error.message()));
  }
  temporary_.clear();
  const fs::path folder = path_.parent_path();
  sync_to_disk(folder.empty() ? fs::path(".") : folder);
}

void check_writable(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::output, fmt::format("{}: cannot be written: {}", path.string(), why));
  };
  std::error_code error;
  if (fs::is_directory(path, error)) refuse("it is a folder");
  // The rename that ends a write would put a file in the place of a device or a pipe.
  if (fs::exists(path, error) && !fs::is_regular_file(path, error)) refuse("it is not a regular file");
  if (!fs::exists(folder, error)) refuse(fmt::format("there is no folder {}", folder.string()));
  // Permissions do not tell what a file system allows: what a write would begin with is made, and removed.
  const PendingFile attempt(path);
  const int file = ::open(attempt.temporary().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0) refuse(fmt::format("in {}: {}", folder.string(), system_reason(errno)));
  ::close(file);
}

void check_folder_writable(const fs::path& folder) {
  const auto refuse = [&](const fs::path& where, const std::string& why) {
    fail(ExitCode::output, fmt::format("{}: cannot be made: in {}: {}", folder.string(), where.string(), why));
  };
  std::error_code error;
  fs::path there = fs::absolute(folder, error);
  while (!error && !fs::exists(there, error) && there.has_parent_path() && there != there.root_path())
    there = there.parent_path();
  if (error) refuse(there, error.message());
  std::string attempt = (there / ".expunge-XXXXXX").string();
  if (!::mkdtemp(attempt.data())) refuse(there, system_reason(errno));
  ::rmdir(attempt.c_str());
}

void write_new_file(const fs::path& path, std::string_view content) {
  Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL, ExitCode::output);
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(ExitCode::output, fmt::format("cannot write {}: {}", path.string(), system_reason(errno)));
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!file.close()) fail(ExitCode::output, fmt::format("cannot write {}: {}", path.string(), system_reason(errno)));
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  PendingFile pending(path);
  write_new_file(pending.temporary(), content);
  pending.commit();
}

}  // namespace expunge
