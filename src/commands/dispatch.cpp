// The table of commands, and how each starts. A new command is one entry.
#include "commands/dispatch.h"

#include <type_traits>
#include <vector>

#include "audit/membership.h"
#include "commands/file_uses.h"
#include "commands/inspect.h"
#include "commands/options.h"
#include "commands/options_commands.h"
#include "commands/run.h"
#include "commands/tokenize.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "plan/options.h"
#include "report/options.h"
#include "run/options.h"
#include "session/session.h"
#include "session/version.h"
#include "training/training.h"

namespace expunge {
namespace {

/// Runs `work` with MPI up; a failure is reported before MPI comes down, so that the other ranks end too.
template <typename Work>
int in_session(const ComputeConfig& compute, bool quiet, Work work) {
  Session session(compute, quiet);
  return guarded({session.rank(), session.world_size()}, [&] {
    ExitCode code = ExitCode::done;
    if constexpr (std::is_void_v<std::invoke_result_t<Work, Session&>>)
      work(session);
    else
      code = work(session);
    check_printed();
    barrier(session.runtime());  // MPI_Finalize would wait without a time limit for a rank that hangs
    return static_cast<int>(code);
  });
}

void check_files(const Session& session, const OptionTable& given) {
  on_root(session.runtime(), [&] {
    check_file_uses(given);
    return std::string();
  });
}

/// The same as in_session() for a command that runs a model as config.compute says; where that names no element type,
/// `default_dtype` does.
template <typename Config, typename Work>
int with_model(Config& config, DType (Session::*default_dtype)() const, Work work) {
  return in_session(config.compute, config.quiet, [&](Session& session) {
    if (config.compute.dtype_by_device) config.compute.dtype = (session.*default_dtype)();
    config.compute.dtype_by_device = false;  // the options that outputs name have it
    config.libraries = version_text(session.kernels());
    return work(session);
  });
}

int start_training(TrainConfig& config, const OptionTable& given) {
  return with_model(config, &Session::default_dtype, [&](Session& session) {
    resolve(config, session.world_size());
    check_files(session, given);
    return run_training(session, config);
  });
}

int start_tokenizing(TokenizeOptions& config, const OptionTable& given) {
  check_file_uses(given);
  config.resolved = tokenize_options(config).text();
  config.libraries = version_text(cpu_kernels());
  return tokenize(config);
}

/// Runs a command that leaves a model as it is.
template <typename Config>
int start_inference(Config& config, const OptionTable& given, OptionTable (*options)(Config&),
                    void (*run)(Session&, const Config&)) {
  return with_model(config, &Session::evaluation_dtype, [&](Session& session) {
    config.resolved = options(config).text();  // what outputs say of the options
    check_files(session, given);
    run(session, config);
  });
}
int start_evaluation(EvalConfig& config, const OptionTable& given) {
  return start_inference(config, given, eval_options, run_evaluation);
}
int start_membership(MembershipConfig& config, const OptionTable& given) {
  return start_inference(config, given, mia_options, run_membership);
}
int start_generation(GenerateConfig& config, const OptionTable& given) {
  return start_inference(config, given, generate_options, run_generation);
}
int start_task(TaskConfig& config, const OptionTable& given) { return start_inference(config, given, task_options, run_task); }

int start_export(ExportConfig& config, const OptionTable& given) {
  check_file_uses(given);
  return in_session({.device = "cpu"}, config.quiet,
                    [&](Session& session) { run_export(session, config.checkpoint, config.output_dir, config.dtype); });
}

int start_verification(InspectConfig& config, const OptionTable&) {
  return in_session({.device = "cpu"}, false, [&](Session& session) { return run_verify(session, config.path); });
}

int start_report(ReportConfig& config, const OptionTable& given) {
  check_file_uses(given);
  log_setup(0, 1, config.quiet);
  run_report(config);
  return static_cast<int>(ExitCode::done);
}

int start_plan(PlanConfig& config, const OptionTable& given) {
  check_file_uses(given);
  run_plan(config);
  return static_cast<int>(ExitCode::done);
}

}  // namespace

std::vector<Command> commands() {
  return {
      command<TokenizeOptions>("tokenize", "Turns folders of text into one token file.",
                               "expunge tokenize --tokenizer models/Yi-6B --data texts --output tokens.h5 --max-length 4096",
                               Ranks::one, tokenize_options, start_tokenizing),
      command<PlanConfig>("plan", "Says what a run would take of memory, network and time, and which policies it would choose.",
                          "expunge plan --model models/Yi-6B --world 8 --gpu-memory 80GB --bf16 --global-batch-size 480 \\\n"
                          "    --method ascent_plus_kl_divergence --sbatch unlearn.sbatch",
                          Ranks::one, plan_options, start_plan),
      command<TrainConfig>("train", "Trains a model by plain descent, from a model folder or from scratch.",
                           "mpirun -n 2 expunge train --init-config config.json --tokens tokens.h5 --split books/forget \\\n"
                           "    --split books/retain --learning-rate 1e-3 --num-train-epochs 20 --output-dir output/train",
                           Ranks::any, train_options, start_training),
      command<TrainConfig>("unlearn", "Makes a model forget a domain's split forget.",
                           "mpirun -n 8 expunge unlearn --model models/Yi-6B --tokens tokens.h5 --domain arxiv \\\n"
                           "    --method gradient_ascent --bf16 --global-batch-size 480 --output-dir output/unlearn",
                           Ranks::any, unlearn_options, start_training),
      command<EvalConfig>("eval", "Measures perplexity, accuracy and memorisation of a model on a domain's splits.",
                          "mpirun -n 2 expunge eval --model output/unlearn --tokens tokens.h5 --domain arxiv --output eval.h5",
                          Ranks::any, eval_options, start_evaluation),
      command<MembershipConfig>(
          "mia", "Infers membership: can texts the model was trained on be told from texts it never saw?",
          "mpirun -n 2 expunge mia --model output/unlearn --tokens tokens.h5 --domain arxiv --output mia.h5", Ranks::any,
          mia_options, start_membership),
      command<GenerateConfig>("generate", "Continues the prompts of a JSONL file, greedily or by sampling.",
                              "mpirun -n 2 expunge generate --model output/unlearn --prompts prompts.jsonl \\\n"
                              "    --max-new-tokens 100 --output completions.jsonl",
                              Ranks::any, generate_options, start_generation),
      command<TaskConfig>("task", "Scores a model on questions: MMLU, ARC, HellaSwag and GSM8K as JSONL.",
                          "mpirun -n 2 expunge task --model output/unlearn --tasks mmlu.jsonl --num-fewshot 5 --output task.h5",
                          Ranks::any, task_options, start_task),
      command<ExportConfig>("export", "Writes a checkpoint as a Hugging Face model folder.",
                            "expunge export --checkpoint output/unlearn --output-dir models/unlearned", Ranks::one,
                            export_options, start_export),
      command<ReportConfig>("report", "Says what runs forgot, kept and cost: an HTML page, and the same as Markdown.",
                            "expunge report output/run-a output/run-b --before before.h5 --output report.html", Ranks::one,
                            report_options, start_report),
      command<InspectConfig>("inspect", "Shows what is in a checkpoint, metrics, token or model file or folder.",
                             "expunge inspect output/unlearn", Ranks::one, inspect_options,
                             [](InspectConfig& config, const OptionTable&) { return inspect(config.path); }),
      command<InspectConfig>("verify", "Recomputes the hashes that a run or an exported model names.",
                             "expunge verify output/unlearn", Ranks::one, verify_options, start_verification),
  };
}

}  // namespace expunge
