// Output files of commands: checked before the work, written after it.
#pragma once

#include <filesystem>

#include "expunge/communicator.h"
#include "io/files.h"

namespace expunge {

inline Existing existing_of(bool overwrite) { return overwrite ? Existing::replace : Existing::keep; }
/// Throws Error(output) where the output exists and is not to be replaced, or cannot be written.
void check_output(const std::filesystem::path& output, bool overwrite);
/// The same on rank 0, which will write it. Collective.
void check_output(const Runtime& runtime, const std::filesystem::path& output, bool overwrite);

}  // namespace expunge
