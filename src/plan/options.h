// The options of `expunge plan` as plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "expunge/objective.h"
#include "session/options.h"

namespace expunge {

/// Options of `expunge plan`.
struct PlanConfig {
  static constexpr std::int64_t kMostRanks = 65'536;

  std::filesystem::path model;  ///< a folder with config.json, the only file that is read
  std::int64_t world = 1;
  ComputeConfig compute = {.device = "cuda"};
  double gpu_memory = 0, memory_per_rank = 0;  ///< bytes; the one for `device` must be set
  MethodOptions method = {.name = "gradient_ascent"};
  std::int64_t positive_ratio = 1;

  std::int64_t max_length = 4096;
  std::int64_t per_device_train_batch_size = 1;
  std::int64_t gradient_accumulation_steps = 0;
  std::int64_t micro_batch_tokens = 0;
  std::int64_t global_batch_size = 0;  ///< 0: world x per-device batch x accumulation
  std::int64_t max_steps = 1;
  std::int64_t save_steps = 0;

  std::optional<double> tflops = {}, memory_bandwidth = {};  ///< of a rank; GB/s
  std::filesystem::path measured_run = {};                   ///< a run whose steps give the rate
  std::int64_t gpus_per_node = 8;                            ///< ranks, on the CPU
  std::optional<double> node_gbps = {};                      ///< Gbit/s of a rank within its node
  double network_gbps = 400, network_latency_us = 10;        ///< of a rank between nodes
  std::filesystem::path sbatch = {};                         ///< batch script to write
  bool overwrite = false;
};

}  // namespace expunge
