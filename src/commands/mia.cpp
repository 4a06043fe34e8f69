// The options of `expunge mia`; its work is in audit/.
#include "commands/mia.h"

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "run/compute_options.h"

namespace expunge {

OptionTable mia_options(MembershipConfig& config) {
  OptionTable table("mia");
  std::vector<Option> input = scoring_input(config, "domain of the two splits");
  input.push_back(text("members", "SPLIT", config.members, "split that the model was trained on"));
  input.push_back(text("non-members", "SPLIT", config.non_members,
                       "split of the same kind that the model never saw; uses as many sequences as there are members"));
  input.push_back(path("reference-model", "DIR", FileUse::model, config.reference_model,
                       "model for the reference attack; without it, none"));
  table.group("Input", std::move(input));
  std::vector<Option> output = scoring_output(config);
  output.push_back(seed("seed", config.seed, "seed of the resamples for the interval of the AUC"));
  table.group("Output", std::move(output));
  add_scoring_compute(table, config);
  table.then([&config](const OptionTable& given) { check_compute(config.compute, given); });
  return table;
}

Command mia_command() {
  return command<MembershipConfig>(
      "mia", "Infers membership: do a model's scores separate texts of its training from texts it never saw?",
      "mpirun -n 2 expunge mia --model output/unlearn --tokens tokens.h5 --domain arxiv --output mia.h5", Ranks::any,
      mia_options, [](MembershipConfig& config, const OptionTable& given) {
        return start_inference(config, given, mia_options, run_membership);
      });
}

}  // namespace expunge
