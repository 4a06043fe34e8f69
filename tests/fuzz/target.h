// What fuzz targets share: the entry point, a folder for the bytes under test, and the rule for errors.
//
// A target feeds bytes to one reader and checks what the reader promises. libFuzzer calls LLVMFuzzerTestOneInput again and
// again (build with EXPUNGE_FUZZ); the ordinary build calls it for the files of the corpus, and for a second on changes of
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "expunge/error.h"
#include "support/folder.h"
#include "support/processor_time.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace expunge::fuzz {

inline std::string_view text(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }

/// Ends the process when a promise is broken; libFuzzer then keeps the input.
inline void require(bool holds, std::string_view promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

/// Ends the process where what follows takes more time than a reader may need for an input of so many bytes: a second, and a
/// microsecond a byte. Time that grows as the square of the size shows in an input of a mebibyte, to which grow() takes it.
class TimeBudget {
 public:
  explicit TimeBudget(std::size_t bytes) : bytes_(bytes), began_(processor_seconds()) {}
  TimeBudget(const TimeBudget&) = delete;
  ~TimeBudget() {
    const double taken = processor_seconds() - began_, allowed = kSlow * (1 + 1e-6 * static_cast<double>(bytes_));
    if (taken > allowed) std::fprintf(stderr, "%zu bytes took %.1f s, %.1f s are allowed\n", bytes_, taken, allowed);
    require(taken <= allowed, "the time of an input grows with its size");
  }

 private:
#ifdef EXPUNGE_LIBFUZZER
  static constexpr double kSlow = 10;  // what sanitizers cost
#else
  static constexpr double kSlow = 1;
#endif
  std::size_t bytes_;
  double began_;
};

/// A folder for all inputs of this process.
inline const TemporaryFolder& folder() {
  static const TemporaryFolder instance;
  return instance;
}

/// Whether `read` accepts what it reads. What it throws must be an Error about a bad input or a wrong option that names `what`,
/// a file or an option; any other exception ends the process.
template <typename Read>
bool accepts(std::string_view what, const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    const std::string message = error.what();
    require(error.code() == ExitCode::bad_input || error.code() == ExitCode::usage,
            "the exit code fits a bad input: " + message);
    require(message.find(what) != std::string::npos, "the error names the input: " + message);
    return false;
  }
}

/// The parts of an input that stands for several files or values, cut at lines "---"; `count` of them, the last with the rest.
inline std::vector<std::string> parts(std::string_view input, std::size_t count) {
  constexpr std::string_view kCut = "\n---\n";
  std::vector<std::string> result;
  while (result.size() + 1 < count) {
    const std::size_t end = input.find(kCut);
    result.emplace_back(input.substr(0, end));
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + kCut.size());
  }
  result.emplace_back(input);
  return result;
}

}  // namespace expunge::fuzz
