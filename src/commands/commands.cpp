// Lists the commands.
#include "commands/commands.h"

#include "commands/eval.h"
#include "commands/export.h"
#include "commands/generate.h"
#include "commands/inspect.h"
#include "commands/mia.h"
#include "commands/plan.h"
#include "commands/report.h"
#include "commands/task.h"
#include "commands/tokenize.h"
#include "commands/train.h"
#include "commands/unlearn.h"
#include "commands/verify.h"

namespace expunge {

std::vector<Command> commands() {
  return {tokenize_command(), plan_command(), train_command(),  unlearn_command(), eval_command(),    mia_command(),
          generate_command(), task_command(), export_command(), report_command(),  inspect_command(), verify_command()};
}

}  // namespace expunge
