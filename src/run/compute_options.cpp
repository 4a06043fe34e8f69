// The options that say how a model is computed.
#include "run/compute_options.h"

#include <fmt/format.h>

#include <string>

#include "cli/values.h"
#include "expunge/error.h"

namespace expunge {

std::vector<Option> shared_compute_options(ComputeConfig& config) {
  Option dtype = choice<DType>(
      "dtype", config.dtype, {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float64", DType::float64}},
      "element type of weights and activations; bfloat16 accumulates in float32, and is the default on GPUs and if the "
      "processors of all ranks have bfloat16 instructions");
  dtype.get = [&config, chosen = dtype.get] { return config.dtype_by_device ? std::vector<std::string>() : chosen(); };
  return {
      choice<std::string>("device", config.device, {{"auto", "auto"}, {"cpu", "cpu"}, {"cuda", "cuda"}}, "where to compute"),
      free_on_resume(choice<CommPolicy>(
          "comm", config.comm, {{"nccl", CommPolicy::nccl}, {"staged", CommPolicy::staged}, {"auto", CommPolicy::automatic}},
          "transport between ranks on GPUs: NCCL, one rank per GPU; staged: MPI through host memory, so that ranks may "
          "share a GPU, for tests")),
      std::move(dtype),
      // Another spelling of --dtype; check_compute() decides between them once the later one is known.
      unbound_flag("bf16", "the same as --dtype bfloat16"),
      flag("tf32", config.tf32, "compute float32 products with TensorFloat-32; only with --device cuda"),
      free_on_resume(choice<GatherPolicy>(
          "gather", config.gather,
          {{"per-micro-step", GatherPolicy::per_micro_step},
           {"per-step", GatherPolicy::per_step},
           {"auto", GatherPolicy::automatic}},
          "when whole weights are gathered: for every micro-batch (least memory), or once per step (fastest); "
          "auto: per-step if memory allows")),
      free_on_resume(on_off("prefetch", config.prefetch, "gather the next block while this one computes")),
      free_on_resume(duration("collective-timeout", config.collective_timeout, kTimeout,
                              "end the job, naming the missing ranks, when a rank waits this long for others")),
  };
}

std::vector<Option> training_compute_options(ComputeConfig& config) {
  std::vector<Option> options = shared_compute_options(config);
  options.push_back(
      free_on_resume(choice<RecomputePolicy>("recompute", config.recompute,
                                             {{"none", RecomputePolicy::none},
                                              {"light", RecomputePolicy::light},
                                              {"block", RecomputePolicy::block},
                                              {"auto", RecomputePolicy::automatic}},
                                             "what the backward pass recomputes to save memory: norms and the SwiGLU product "
                                             "(light), whole blocks (block)")));
  options.push_back(choice<bool>("reduce-dtype", config.reduce_in_bf16, {{"fp32", false}, {"bf16", true}},
                                 "precision of gradients during their reduction over ranks"));
  return options;
}

void check_compute(ComputeConfig& config, const OptionTable& given) {
  const OptionSource bf16 = given.source("bf16"), dtype = given.source("dtype");
  config.dtype_by_device = bf16 == OptionSource::none && dtype == OptionSource::none;
  if (bf16 != OptionSource::none && bf16 >= dtype) {
    const bool wanted = *parse_bool(given.value("bf16"));
    const bool is = config.dtype == DType::bfloat16;
    if (wanted != is && bf16 == dtype)
      fail(ExitCode::usage,
           fmt::format("--bf16 {} contradicts --dtype {}; give only one of them", wanted, dtype_name(config.dtype)));
    if (wanted != is) config.dtype = wanted ? DType::bfloat16 : DType::float32;
  }
  if (config.comm != CommPolicy::automatic && config.device == "cpu")
    fail(ExitCode::usage, "--comm is for ranks on GPUs, but --device is cpu, where ranks use MPI; leave it out");
  if (config.tf32 && config.device != "cuda")
    fail(
        ExitCode::usage,
        fmt::format("--tf32 true needs --device cuda, but --device is {}: TensorFloat-32 is a mode of CUDA's tensor cores, and "
                    "float32 products on the CPU are exact; leave it out",
                    config.device));
}

}  // namespace expunge
