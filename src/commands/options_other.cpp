// Options that commands share, and those of tokenize, eval, mia, export and inspect.
#include <fmt/format.h>

#include <set>

#include "audit/membership.h"
#include "cli/values.h"
#include "commands/options.h"
#include "commands/options_commands.h"
#include "commands/options_shared.h"
#include "commands/run.h"
#include "core/text.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "report/options.h"

namespace expunge {
namespace {

/// The element type of written weights; unset, and out of the config text, unless given.
Option export_dtype_option(std::optional<DType>& dtype) {
  return choice<std::optional<DType>>("dtype", dtype,
                                      {{"float32", DType::float32}, {"bfloat16", DType::bfloat16}, {"float16", DType::float16}},
                                      "element type of the written weights; without it, what the model's config.json says");
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

}  // namespace

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
  const Source bf16 = given.source("bf16"), dtype = given.source("dtype");
  config.dtype_by_device = bf16 == Source::none && dtype == Source::none;
  if (bf16 != Source::none && bf16 >= dtype) {
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

OptionTable tokenize_options(TokenizeOptions& c) {
  OptionTable table("tokenize");
  table.group("Input",
              {required(path("tokenizer", "DIR", FileUse::model, c.tokenizer, "folder of the model, with tokenizer.model")),
               required(path("data", "DIR", FileUse::texts, c.data, "folder of texts: DOMAIN/SPLIT.jsonl, .jsonl.gz or .txt")),
               list("domain", "NAME", c.domains, "domain to read; without it, every folder of --data"),
               text("text-column", "NAME", c.text_column, "column of the documents; without it, text or else content"),
               config_option(), print_config_option()});
  table.group("Output", {required(path("output", "FILE", FileUse::output, c.output, "token file to write (HDF5)")),
                         whole("max-length", c.max_length, 5, "most ids in a sequence; longer documents are cut into several"),
                         real("near-duplicate-threshold", c.near_duplicate_threshold, kSimilarity,
                              "count documents of this similarity (Jaccard, of their runs of five ids) as nearly equal; 0: "
                              "equal ones only"),
                         quiet_option(c.quiet)});
  return table;
}

OptionTable eval_options(EvalConfig& c) {
  OptionTable table("eval");
  std::vector<Option> input = scoring_input(c, "domain to evaluate");
  input.push_back(list("split", "SPLIT", c.splits, "split to evaluate; without it, all of the domain and general/evaluation"));
  table.group("Input", std::move(input));
  std::vector<Option> output = scoring_output(c);
  output.push_back(path("compare", "FILE", FileUse::file, c.compare, "earlier file of results to print beside these"));
  table.group("Output", std::move(output));
  add_scoring_compute(table, c);
  table.then([&c](const OptionTable& given) {
    check_compute(c.compute, given);
    check_splits("split", c.domain, c.splits);
  });
  return table;
}

OptionTable mia_options(MembershipConfig& c) {
  OptionTable table("mia");
  std::vector<Option> input = scoring_input(c, "domain of the two splits");
  input.push_back(text("members", "SPLIT", c.members, "split that the model was trained on"));
  input.push_back(text("non-members", "SPLIT", c.non_members,
                       "split of the same kind that it has not seen; as many sequences are used as there are members"));
  input.push_back(
      path("reference-model", "DIR", FileUse::model, c.reference_model, "model for the attack by reference; without it, none"));
  table.group("Input", std::move(input));
  std::vector<Option> output = scoring_output(c);
  output.push_back(seed("seed", c.seed, "seed of the resamples that give the interval of the AUC"));
  table.group("Output", std::move(output));
  add_scoring_compute(table, c);
  table.then([&c](const OptionTable& given) { check_compute(c.compute, given); });
  return table;
}

OptionTable export_options(ExportConfig& c) {
  OptionTable table("export");
  table.group("Options", {required(path("checkpoint", "DIR", FileUse::model, c.checkpoint,
                                        "run folder, whose newest checkpoint is taken, or "
                                        "checkpoint folder")),
                          required(path("output-dir", "DIR", FileUse::output_folder, c.output_dir,
                                        "new model folder to write (Hugging Face layout)")),
                          export_dtype_option(c.dtype), quiet_option(c.quiet), config_option(), print_config_option()});
  return table;
}

OptionTable report_options(ReportConfig& c) {
  OptionTable table("report");
  Option runs = required(naming(
      FileUse::run, list("run", "RUN", c.runs, "run folder, with its evaluations as eval.h5, mia.h5 and task.h5 in it")));
  runs.kind = Option::Kind::positional_list;
  Option output = required(
      path("output", "FILE", FileUse::output, c.output, "HTML page to write; NAME.md and NAME-figures/ are written beside it"));
  output.beside = files_beside_report;
  table.group("Arguments", {runs});
  table.group("Options",
              {naming(FileUse::file, list("before", "FILE", c.before,
                                          "eval.h5 or mia.h5 of an original model; goes to the runs that began from it (or as "
                                          "RUN/eval-before.h5, mia-before.h5)")),
               naming(FileUse::file, list("after", "FILE", c.after,
                                          "eval.h5 or mia.h5 of the one run's model, when it does not lie in the run folder")),
               std::move(output), text("title", "TEXT", c.title, "title of the report"),
               real("pretraining-tokens", c.pretraining_tokens, kCount,
                    "tokens that the original model was trained on, for the ratio to retraining; 0: not known"),
               flag("overwrite", c.overwrite, "replace the report where there is one"), quiet_option(c.quiet), config_option(),
               print_config_option()});
  return table;
}

OptionTable inspect_options(InspectConfig& c) {
  OptionTable table("inspect");
  table.group("Argument", {positional(path("path", "FILE_OR_DIR", FileUse::model, c.path, "what to look at"))});
  table.group("Options", {config_option(), print_config_option()});
  return table;
}

OptionTable verify_options(InspectConfig& c) {
  OptionTable table("verify");
  table.group("Argument",
              {positional(path("folder", "DIR", FileUse::model, c.path, "run folder, or model folder of expunge export"))});
  table.group("Options", {config_option(), print_config_option()});
  return table;
}

}  // namespace expunge
