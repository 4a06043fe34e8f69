// Direct I/O through an aligned buffer, with the page cache as fallback.
#include "io/direct_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "expunge/error.h"
#include "io/files.h"

namespace expunge {
namespace {

constexpr std::size_t kDirectPiece = std::size_t{4} << 20;

[[noreturn]] void refuse(const std::filesystem::path& path, const char* what) {
  fail(ExitCode::output, fmt::format("cannot {} {}: {}", what, path.string(), system_reason(errno)));
}

std::byte* aligned_buffer() {
  void* block = std::aligned_alloc(DirectFile::kBlock, kDirectPiece);
  if (!block) throw std::bad_alloc();
  return static_cast<std::byte*>(block);
}

}  // namespace

DirectFile::DirectFile(std::filesystem::path path)
    : path_(std::move(path)), cached_(path_, O_RDWR, ExitCode::output), buffer_(aligned_buffer(), std::free) {
  try {
    direct_.emplace(path_, O_WRONLY | O_DIRECT, ExitCode::output);
  } catch (const Error&) {  // the file exists, as cached_ shows, so the file system lacks direct I/O
  }
}

std::uint64_t DirectFile::size() const {
  struct stat status {};
  if (::fstat(cached_.get(), &status) != 0) refuse(path_, "read the size of");
  return static_cast<std::uint64_t>(status.st_size);
}

bool DirectFile::write_directly(std::uint64_t offset, std::size_t bytes) {
  for (std::size_t done = 0; direct_ && done < bytes;) {
    const ssize_t wrote = ::pwrite(direct_->get(), buffer_.get() + done, bytes - done, static_cast<off_t>(offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno != EINVAL) refuse(path_, "write");
    if (wrote < 0 || wrote % static_cast<ssize_t>(kBlock) != 0) {  // the file system needs larger blocks or has no direct I/O
      direct_.reset();
      return false;
    }
    done += static_cast<std::size_t>(wrote);
  }
  return direct_.has_value();
}

void DirectFile::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    std::size_t piece = std::min(bytes.size(), kDirectPiece);
    if (const std::size_t whole = piece / kBlock * kBlock; whole > 0 && offset % kBlock == 0 && direct_) {
      std::memcpy(buffer_.get(), bytes.data(), whole);
      if (write_directly(offset, whole)) {
        offset += whole;
        bytes = bytes.subspan(whole);
        continue;
      }
    }
    const ssize_t wrote = ::pwrite(cached_.get(), bytes.data(), piece, static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) refuse(path_, "write");
    piece = static_cast<std::size_t>(wrote);
    offset += piece;
    bytes = bytes.subspan(piece);
  }
}

void DirectFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(cached_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse(path_, "read");
    check(got > 0, "what is read lies in the file");
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void DirectFile::sync() {
  if (::fsync(cached_.get()) != 0) refuse(path_, "flush to disk");
}

}  // namespace expunge
