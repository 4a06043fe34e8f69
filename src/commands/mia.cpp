// The command; audit/ has what it does.
#include "commands/mia.h"

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "run/compute_options.h"

namespace expunge {

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

Command mia_command() {
  return command<MembershipConfig>(
      "mia", "Infers membership: can texts the model was trained on be told from texts it never saw?",
      "mpirun -n 2 expunge mia --model output/unlearn --tokens tokens.h5 --domain arxiv --output mia.h5", Ranks::any,
      mia_options, [](MembershipConfig& config, const OptionTable& given) {
        return start_inference(config, given, mia_options, run_membership);
      });
}

}  // namespace expunge
