// Options that commands share: how a model is run, what is read and written.
#include "commands/shared_options.h"

#include <fmt/format.h>

#include <set>

#include "cli/values.h"
#include "core/text.h"
#include "data/token_file.h"
#include "expunge/error.h"

namespace expunge {

Option quiet_option(bool& quiet) { return flag("quiet", quiet, "print warnings and errors only"); }

Option config_option() {
  return {.key = "config",
          .value_name = "FILE",
          .expected = "a file name",
          .help = "read options from a file of `key = value` lines; the command line wins",
          .set = [](const std::vector<std::string>&) { return true; },
          .get = [] { return std::vector<std::string>(); },
          .resolved = false,
          .use = FileUse::file};
}

Option print_config_option() {
  return {.key = "print-config",
          .value_name = "true|false",
          .expected = "true or false",
          .help = "print the options as `key = value` lines, as --config and the command line give them, and do nothing else",
          .set = [](const std::vector<std::string>& given) { return parse_bool(given.back()).has_value(); },
          .get = [] { return std::vector<std::string>(); },
          .kind = Option::Kind::toggle,
          .resolved = false};
}

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
      choice<CommPolicy>(
          "comm", c.comm, {{"nccl", CommPolicy::nccl}, {"staged", CommPolicy::staged}, {"auto", CommPolicy::automatic}},
          "what ranks on GPUs talk over: NCCL, one rank a GPU; staged: MPI through host memory, so that ranks may "
          "share a GPU, for tests"),
      std::move(dtype),
      bf16,
      flag("tf32", c.tf32, "float32 products through TensorFloat-32; with --device cuda only"),
      choice<GatherPolicy>("gather", c.gather,
                           {{"per-micro-step", GatherPolicy::per_micro_step},
                            {"per-step", GatherPolicy::per_step},
                            {"auto", GatherPolicy::automatic}},
                           "when whole weights are gathered: for every micro-batch (least memory), or once a step (fastest); "
                           "auto: per-step where memory allows"),
      on_off("prefetch", c.prefetch, "gather the next block while this one computes"),
      duration("collective-timeout", c.collective_timeout, kTimeout,
               "end the job, naming the ranks that are missing, when one waits for others this long"),
  };
}

std::vector<Option> training_compute_options(ComputeConfig& c) {
  std::vector<Option> options = shared_compute_options(c);
  options.push_back(choice<RecomputePolicy>("recompute", c.recompute,
                                            {{"none", RecomputePolicy::none},
                                             {"light", RecomputePolicy::light},
                                             {"block", RecomputePolicy::block},
                                             {"auto", RecomputePolicy::automatic}},
                                            "what the backward pass recomputes to save memory: norms and the SwiGLU product "
                                            "(light), whole blocks (block)"));
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

void check_splits(std::string_view key, const std::string& domain, const std::vector<std::string>& splits) {
  std::set<std::string> seen;
  for (const std::string& split : splits)
    if (const std::string name = full_split_name(domain, split); !seen.insert(name).second)
      fail(ExitCode::usage, fmt::format("--{}: {} is named twice; leave one out", key, excerpt(name)));
}

Option positional(Option option) {
  option.kind = Option::Kind::positional;
  return required(std::move(option));
}

std::vector<Option> scoring_input(ScoringConfig& c, std::string domain_help) {
  return {required(path("model", "DIR", FileUse::model, c.model, "model folder, run folder or checkpoint folder")),
          required(path("tokens", "FILE", FileUse::file, c.tokens, "token file of expunge tokenize")),
          required(text("domain", "NAME", c.domain, std::move(domain_help))),
          whole("max-eval-samples", c.max_eval_samples, 0, "use the first N sequences of each split only; 0: all"),
          config_option(),
          print_config_option()};
}

std::vector<Option> scoring_output(ScoringConfig& c) {
  return {required(path("output", "FILE", FileUse::output, c.output, "file of results to write (HDF5)")),
          flag("overwrite", c.overwrite, "replace the file of results where there is one"), quiet_option(c.quiet)};
}

void add_scoring_compute(OptionTable& table, ScoringConfig& c) {
  std::vector<Option> compute = shared_compute_options(c.compute);
  compute.push_back(whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1, "sequences in a rank's micro-batch"));
  compute.push_back(whole("micro-batch-tokens", c.compute.micro_batch_tokens, 0,
                          "pack sequences into micro-batches of at most this many tokens; 0: count sequences instead"));
  table.group("Computing", std::move(compute));
}

Option text_model_option(TextConfig& c) {
  return required(
      path("model", "DIR", FileUse::model, c.model, "model folder, run folder or checkpoint folder; it must have a tokenizer"));
}

std::vector<Option> text_output(TextConfig& c, const std::string& help) {
  return {required(path("output", "FILE", FileUse::output, c.output, help)),
          flag("overwrite", c.overwrite, "replace the file where there is one"), quiet_option(c.quiet)};
}

void add_text_compute(OptionTable& table, TextConfig& c) {
  std::vector<Option> compute = shared_compute_options(c.compute);
  compute.push_back(
      whole("per-device-eval-batch-size", c.per_device_eval_batch_size, 1, "texts that a rank works on at a time"));
  table.group("Computing", std::move(compute));
}

}  // namespace expunge
