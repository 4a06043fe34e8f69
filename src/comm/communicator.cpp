// Blocking host operations over a communicator: each enqueues collectives and waits for the result.
#include "expunge/communicator.h"

#include <cstdint>

#include "expunge/error.h"

namespace expunge {

void barrier(const Runtime& runtime) { all_reduce(runtime, 0, Reduce::sum); }

double all_reduce(const Runtime& runtime, double value, Reduce reduce) {
  all_reduce(runtime, {&value, 1}, reduce);
  return value;
}

void all_reduce(const Runtime& runtime, std::span<double> values, Reduce reduce) {
  runtime.comm.all_reduce(runtime.communication, values, reduce);
  runtime.communication.synchronize();
}

std::string broadcast(const Runtime& runtime, std::string value, int root) {
  std::uint64_t size = value.size();
  runtime.comm.broadcast(runtime.communication, &size, sizeof(size), root);
  runtime.communication.synchronize();
  value.resize(size);
  runtime.comm.broadcast(runtime.communication, value.data(), size, root);
  runtime.communication.synchronize();
  return value;
}

std::string first_text(const Runtime& runtime, const std::string& mine) {
  const auto none = static_cast<double>(runtime.comm.size());
  const double first = all_reduce(runtime, mine.empty() ? none : runtime.comm.rank(), Reduce::min);
  return first == none ? std::string() : broadcast(runtime, mine, static_cast<int>(first));
}

std::string text_of_root(const Runtime& runtime, const std::function<std::string()>& work) {
  std::int32_t code = 0;
  std::string result;
  if (runtime.comm.rank() == 0) {
    try {
      result = work();
    } catch (const Error& error) {
      code = static_cast<std::int32_t>(error.code());
      result = error.what();
    }
  }
  runtime.comm.broadcast(runtime.communication, &code, sizeof(code), 0);
  result = broadcast(runtime, std::move(result), 0);
  if (code != 0) fail(static_cast<ExitCode>(code), result);
  return result;
}

}  // namespace expunge
