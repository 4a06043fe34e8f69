// Output files of commands, checked before the work.
#pragma once

#include <filesystem>

#include "expunge/communicator.h"
#include "io/files.h"

namespace expunge {

inline Existing existing_of(bool overwrite) { return overwrite ? Existing::replace : Existing::keep; }
/// Throws Error(output) if the output exists and may not be replaced, or cannot be written.
void check_output(const std::filesystem::path& output, bool overwrite);
/// The same, on rank 0 only. Collective.
void check_output(const Runtime& runtime, const std::filesystem::path& output, bool overwrite);

}  // namespace expunge
