// What a test on a GPU begins with.
#pragma once

#include <gtest/gtest.h>

#include "expunge/device.h"

namespace expunge {

/// Skipped, with the reason, where there is no GPU.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const CudaDevices devices = cuda_devices();
    if (devices.count == 0) GTEST_SKIP() << "no GPU: " << devices.problem;
  }
};

}  // namespace expunge
