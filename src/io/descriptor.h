// An owned POSIX file descriptor.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "expunge/error.h"
#include "io/files.h"

namespace expunge {

/// Closes the descriptor at its end. Throws an Error of the given code if the file cannot be opened.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags, ExitCode code, mode_t mode = 0666)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) fail(code, fmt::format("cannot open {}: {}", path.string(), system_reason(errno)));
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return fd_; }
  /// Closes and returns whether that worked; network file systems report a full disk only here.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

}  // namespace expunge
