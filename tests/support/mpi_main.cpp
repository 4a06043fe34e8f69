// For tests under mpirun: main() that starts a session, lets rank 0 alone report successes, and any rank its failures.
#include <gtest/gtest.h>

#include <cstdio>

#include "support/mpi_session.h"

namespace {

class FailuresOnly final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed())
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", expunge::test_session().rank(),
                   result.file_name() ? result.file_name() : "?", result.line_number(), result.message());
  }
};

}  // namespace

namespace expunge {

Session& test_session() {
  static Session session({.device = "cpu"}, true);
  return session;
}

}  // namespace expunge

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (expunge::test_session().rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly);
  }
  return RUN_ALL_TESTS();
}
