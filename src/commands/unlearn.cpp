// Options of `expunge unlearn` that choose and shape the method.
#include "commands/unlearn.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/values.h"
#include "commands/training_options.h"
#include "expunge/error.h"
#include "expunge/objective.h"
#include "run/options.h"

namespace expunge {
namespace {

std::vector<Option> method_options(TrainConfig& c) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const MethodInfo& info : methods()) names.emplace_back(info.name, info.name);
  Option method = required(choice<std::string>("method", c.objective.method, std::move(names), ""));
  method.value_name = "METHOD";
  for (const MethodInfo& info : methods())
    method.help += fmt::format("{}{}: {}", method.help.empty() ? "" : "; ", info.name, info.summary);
  return {
      std::move(method),
      choice<bool>("variant", c.objective.released, {{"paper", false}, {"released", true}},
                   "follow the study's paper, or its released code where the two differ"),
      flag("general", c.retain.general, "retain sequences are those of general/retain, not of the domain's retain"),
      whole("positive-ratio", c.retain.positive_ratio, 1, "retain sequences after each forget sequence"),
      flag("retain-repeat", c.retain.repeat, "begin the retain set again when it runs out"),
      real("positive-factor", c.objective.positive_factor, kNotNegative, "weight of the retain sequences' loss"),
      whole("top-k", c.labels.top_k, 0, "draw labels from the original model's N most likely ids; 0: no limit"),
      real("top-p", c.labels.top_p, kFraction, "draw labels from the most likely ids that make up this probability"),
      flag("rm-groundtruth", c.labels.rm_groundtruth, "never draw the true id; with --top-k 1 the adversarial method"),
      path("labels", "FILE", FileUse::file, c.labels.given,
           "train on the labels of this file (layout of the token file, int32, -100 = no target)"),
      path("save-labels", "FILE", FileUse::output, c.labels.save, "write the labels that were drawn to this file, too"),
  };
}

std::vector<Option> later_method_options(TrainConfig& c) {
  return {
      real("gamma", c.objective.gamma, kNotNegative, "weight of the forget term; without it, the method's own"),
      real("alpha", c.objective.alpha, kNotNegative, "weight of the retain term; 0: no retain set is read"),
      choice<bool>("retain-loss", c.objective.retain_kl, {{"nll", false}, {"kl", true}}, "the retain term"),
      real("beta", c.objective.beta, kAboveZero,
           "npo, simnpo, wga, satimp, undial: see their papers; without it, the method's own"),
      real("beta2", c.objective.beta2, kNotNegative, "satimp: second exponent"),
      real("delta", c.objective.delta, kNotNegative, "simnpo: margin"),
      whole("layer", c.objective.layer, 0, "rmu: block whose output is steered, counted from 0; without it, 7"),
      real("steering-coefficient", c.objective.steering, kAboveZero, "rmu: length of the control vector; without it, 2"),
  };
}

/// Options that shape a method, refused where they would do nothing.
void refuse_idle_options(const TrainConfig& config, const OptionTable& given) {
  const MethodInfo& info = method_info(config.objective.method);
  for (const MethodInfo& other : methods()) {
    for (const std::string_view key : other.options) {
      if (given.source(key) != OptionSource::command_line || std::ranges::find(info.options, key) != info.options.end())
        continue;
      std::vector<std::string> users;
      for (const MethodInfo& user : methods())
        if (std::ranges::find(user.options, key) != user.options.end()) users.emplace_back(user.name);
      fail(ExitCode::usage,
           fmt::format("--{} does nothing with --method {}; it is for {}", key, info.name, join_choices(users, ", ", " and ")));
    }
  }
}

void check_unlearning(TrainConfig& config, const OptionTable& given) {
  refuse_idle_options(config, given);
  if (config.labels.top_p == 0) fail(ExitCode::usage, "--top-p 0 leaves no id to draw; expected a number above 0 up to 1");
  if (!config.labels.given.empty() && (config.labels.from_model() || !config.labels.save.empty()))
    fail(ExitCode::usage, "--labels gives the labels; drop --top-k, --top-p, --rm-groundtruth and --save-labels");
  // The study walks the list of a mixed method as it is.
  if (method_info(config.objective.method).mixes && given.source("shuffle") == OptionSource::none) config.shuffle = false;
  check_training(config, given);
}

}  // namespace

OptionTable unlearn_options(TrainConfig& config) {
  config.command = "unlearn";
  OptionTable table = training_table(
      config,
      {{"Input",
        {required(path("model", "DIR", FileUse::model, config.model, "model folder (Hugging Face layout, Llama architecture)")),
         required(path("tokens", "FILE", FileUse::file, config.tokens, "token file of expunge tokenize")),
         required(text("domain", "NAME", config.domain, "domain whose split forget is to be forgotten"))}},
       {"Method", method_options(config)},
       {"Methods later than the study", later_method_options(config)}});
  table.then([&config](const OptionTable& given) { check_unlearning(config, given); });
  return table;
}

Command unlearn_command() {
  return command<TrainConfig>("unlearn", "Makes a model forget a domain's split forget.",
                              "mpirun -n 8 expunge unlearn --model models/Yi-6B --tokens tokens.h5 --domain arxiv \\\n"
                              "    --method gradient_ascent --bf16 --global-batch-size 480 --output-dir output/unlearn",
                              Ranks::any, unlearn_options, start_training);
}

}  // namespace expunge
