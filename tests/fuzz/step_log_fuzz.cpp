// Fuzzes what stands already in a file of --log-jsonl: only the lines of later steps go.
#include "run/jsonl_log.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace expunge;
  using namespace expunge::fuzz;
  const TimeBudget budget(size);
  const std::string_view input = text(data, size);
  const auto path = folder().write("log.jsonl", input);
  try {
    JsonlLog log(path, 3, "");
    require(input.starts_with(slurp(path)), "what is left is the beginning of what was there");
  } catch (const Error& error) {
    // A file that cannot be appended to is a place where nothing can be written.
    require(error.code() == ExitCode::output, error.what());
    require(slurp(path) == input, "a file of others is left alone");
  }
  return 0;
}
