// Checks output files.
#include "run/output.h"

#include <fmt/format.h>

#include "expunge/error.h"

namespace expunge {

void check_output(const std::filesystem::path& output, bool overwrite) {
  check_writable(output);
  std::error_code unknown;
  if (!overwrite && std::filesystem::exists(std::filesystem::symlink_status(output, unknown)))
    fail(ExitCode::output, fmt::format("{}: exists already; remove it, give another name or --overwrite", output.string()));
}

void check_output(const Runtime& runtime, const std::filesystem::path& output, bool overwrite) {
  on_root(runtime, [&] { check_output(output, overwrite); });
}

}  // namespace expunge
