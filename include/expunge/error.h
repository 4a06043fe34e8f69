// Errors: an exception that carries the process exit code and where it was thrown.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>

namespace expunge {

/// Exit code of the process. Documented in the README.
enum class ExitCode : int {
  done = 0,
  internal = 1,     ///< a bug in expunge
  usage = 2,        ///< bad command line or configuration, or one that needs more memory or threads than there are
  bad_input = 3,    ///< an input file is malformed or does not fit
  output = 4,       ///< a file or standard output could not be written (permissions, disk full, already there, closed)
  collapse = 5,     ///< NaN, infinity or the collapse guard
  collective = 6,   ///< a collective timed out or a rank was lost
  mismatch = 7,     ///< verification found a difference
  interrupted = 75  ///< stopped by a signal or a time limit; the same command continues the run
};

/// Thrown for every failure that ends a command. `what()` is the message for the user, without the location.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message, std::source_location where = std::source_location::current())
      : std::runtime_error(message), code_(code), where_(where) {}
  ExitCode code() const { return code_; }
  const std::source_location& where() const { return where_; }

 private:
  ExitCode code_;
  std::source_location where_;
};

[[noreturn]] inline void fail(ExitCode code, const std::string& message,
                              std::source_location where = std::source_location::current()) {
  throw Error(code, message, where);
}

/// For conditions that only a bug of ours can break; whatever input can cause calls fail() with its own exit code.
inline void check(bool condition, const char* what, std::source_location where = std::source_location::current()) {
  if (!condition) throw Error(ExitCode::internal, std::string("internal check failed: ") + what, where);
}

}  // namespace expunge
