// For tests: a folder that lives as long as the object, and the errors of what is done in it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "expunge/error.h"
#include "support/folder.h"

namespace expunge {

/// Runs `action`, which must throw Error with `code`; returns its message.
template <typename Action>
std::string error_of(ExitCode code, const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown";
  return "";
}

}  // namespace expunge
