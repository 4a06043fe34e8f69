// Options that say how a model is computed.
#include "run/compute_options.h"

#include <fmt/format.h>

#include <string>

#include "cli/values.h"
#include "expunge/error.h"

namespace expunge {

std::vector<Option> shared_compute_options(ComputeConfig& c) {
  // Another spelling of --dtype, settled by check_compute() when it is known which came last.
  const Option bf16{.key = "bf16",
                    .value_name = "true|false",
                    .expected = "true or false",
                    .help = "the same as --dtype bfloat16",
                    .set = [](const std::vector<std::string>& given) { return parse_bool(given.back()).has_value(); },
                    .get = [] { return std::vector<std::string>(); },
                    .kind = Option::Kind::toggle,
                    .resolved = false};
  Option dtype = choice<DType>(
      "dtype", c.dtype, {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float64", DType::float64}},
      "element type of weights and activations; bfloat16 accumulates in float32, and is the default on GPUs and where all "
      "ranks' processors multiply it");
  dtype.get = [&c, chosen = dtype.get] { return c.dtype_by_device ? std::vector<std::string>() : chosen(); };
  return {
      choice<std::string>("device", c.device, {{"auto", "auto"}, {"cpu", "cpu"}, {"cuda", "cuda"}}, "where to compute"),
      free_on_resume(choice<CommPolicy>(
          "comm", c.comm, {{"nccl", CommPolicy::nccl}, {"staged", CommPolicy::staged}, {"auto", CommPolicy::automatic}},
          "what ranks on GPUs talk over: NCCL, one rank a GPU; staged: MPI through host memory, so that ranks may "
          "share a GPU, for tests")),
      std::move(dtype),
      bf16,
      flag("tf32", c.tf32, "float32 products through TensorFloat-32; with --device cuda only"),
      free_on_resume(choice<GatherPolicy>(
          "gather", c.gather,
          {{"per-micro-step", GatherPolicy::per_micro_step},
           {"per-step", GatherPolicy::per_step},
           {"auto", GatherPolicy::automatic}},
          "when whole weights are gathered: for every micro-batch (least memory), or once a step (fastest); "
          "auto: per-step where memory allows")),
      free_on_resume(on_off("prefetch", c.prefetch, "gather the next block while this one computes")),
      free_on_resume(duration("collective-timeout", c.collective_timeout, kTimeout,
                              "end the job, naming the ranks that are missing, when one waits for others this long")),
  };
}

std::vector<Option> training_compute_options(ComputeConfig& c) {
  std::vector<Option> options = shared_compute_options(c);
  options.push_back(
      free_on_resume(choice<RecomputePolicy>("recompute", c.recompute,
                                             {{"none", RecomputePolicy::none},
                                              {"light", RecomputePolicy::light},
                                              {"block", RecomputePolicy::block},
                                              {"auto", RecomputePolicy::automatic}},
                                             "what the backward pass recomputes to save memory: norms and the SwiGLU product "
                                             "(light), whole blocks (block)")));
  options.push_back(choice<bool>("reduce-dtype", c.reduce_in_bf16, {{"fp32", false}, {"bf16", true}},
                                 "precision in which gradients travel between ranks"));
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
           fmt::format("--bf16 {} contradicts --dtype {}; give one of them", wanted, dtype_name(config.dtype)));
    if (wanted != is) config.dtype = wanted ? DType::bfloat16 : DType::float32;
  }
  if (config.comm != CommPolicy::automatic && config.device == "cpu")
    fail(ExitCode::usage, "--comm is for ranks on GPUs, and --device is cpu, where ranks talk over MPI; leave it out");
  if (config.tf32 && config.device != "cuda")
    fail(ExitCode::usage,
         fmt::format("--tf32 true needs --device cuda, and --device is {}: TensorFloat-32 is a mode of CUDA's tensor cores, on "
                     "the CPU float32 products are exact; leave it out",
                     config.device));
}

}  // namespace expunge
