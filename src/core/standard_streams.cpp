// Standard output on a POSIX descriptor, unbuffered; remembers the first failure.
#include "core/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <system_error>

#include "expunge/error.h"

namespace expunge {
namespace {

int first_failure = 0;  // an errno

int write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

void hold_standard_streams() {
  // Read-only, so that a write fails as on a closed stream. open() takes the lowest free descriptor.
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0) (void)!::open("/dev/null", O_RDONLY);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void print_text(std::string_view text) {
  // Text after a gap would mislead the reader.
  if (first_failure == 0) first_failure = write_all(text);
}

void check_printed() {
  // Network file systems report a full disk only when a descriptor is closed.
  if (const int copy = ::dup(STDOUT_FILENO); first_failure == 0 && copy >= 0 && ::close(copy) != 0) first_failure = errno;
  if (first_failure == 0) return;
  const std::string reason = first_failure == EBADF ? "it is closed" : std::generic_category().message(first_failure);
  fail(ExitCode::output, fmt::format("standard output: the output is incomplete: {}; give it a file with room, or a "
                                     "reader that takes all of it",
                                     reason));
}

}  // namespace expunge
