// `expunge task`: scores multiple choice by log-likelihood, and generated answers by their number.
#include "commands/task.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "core/log.h"
#include "core/standard_streams.h"
#include "core/text.h"
#include "expunge/error.h"
#include "inference/continuations.h"
#include "inference/generation.h"
#include "inference/gsm8k_filters.h"
#include "inference/options.h"
#include "inference/scoring_model.h"
#include "inference/task_items.h"
#include "io/files.h"
#include "run/compute_options.h"
#include "run/conditions.h"
#include "run/output.h"
#include "run/results/task.h"

namespace expunge {
namespace {

/// The items as the model's input: every choice of every item, and every question with a generated answer.
struct Work {
  std::vector<Continuation> choices;
  std::vector<Prompt> prompts;
  GenerationSettings ends = {};  // ends of answers to prompts
};

Work encode(const TaskConfig& config, const std::vector<TaskItem>& items, const LlamaConfig& model,
            const Tokenizer& tokenizer) {
  Work work;
  std::size_t shortened = 0;
  const auto room = static_cast<std::int64_t>(model.longest_sequence()) - config.max_new_tokens;
  for (const TaskItem& item : items) {
    for (const std::string& choice : item.choices)
      work.choices.push_back(encode_pair(tokenizer, item.prompt, " " + choice, model, item.where));
    if (!item.choices.empty()) continue;
    if (room < 1)
      fail(ExitCode::usage,
           fmt::format("--max-new-tokens {} leaves no room for the question in the model's {} positions; lower it",
                       config.max_new_tokens, model.longest_sequence()));
    std::vector<std::int32_t> ids = prompt_ids(tokenizer, item.prompt, item.where);
    const auto surplus = static_cast<std::int64_t>(ids.size()) - room;
    if (surplus > 0) ids.erase(ids.begin(), ids.begin() + surplus);
    shortened += surplus > 0;
    check_prompt(item.where, ids, model);
    work.prompts.push_back({std::move(ids), 0});
  }
  for (const Continuation& choice : work.choices)
    shortened += choice.ids.size() > static_cast<std::size_t>(model.longest_sequence());
  if (shortened > 0)
    log_info(fmt::format("{} prompts are longer than the model's {} positions; their beginnings are cut off", shortened,
                         model.longest_sequence()));
  return work;
}

void warn_of_doubled_bos(const TaskConfig& config, const Tokenizer& tokenizer, const Work& work) {
  const auto doubled = [&](const auto& text) { return tokenizer.doubles_bos(text.ids); };
  const auto count = std::ranges::count_if(work.choices, doubled) + std::ranges::count_if(work.prompts, doubled);
  if (count > 0) log_warning(doubled_bos(tokenizer, config.tasks.string(), static_cast<std::uint64_t>(count)));
}

struct Answers {
  std::vector<double> log_likelihoods;      // of Work::choices
  std::vector<Completion> completions;      // of Work::prompts
  std::string eos_token_ids, stop_strings;  // JSON: the ends of completions; empty without any
};

Answers ask(const Session& session, const TaskConfig& config, const WeightsSource& source, const Tokenizer& tokenizer,
            const Work& work) {
  ComputeConfig compute = config.compute;
  compute.gather = gather_for_generation(session, source.config, compute);
  const auto batch_size = static_cast<std::size_t>(config.per_device_eval_batch_size);
  const int vocabulary = std::min(source.config.vocab_size, tokenizer.vocabulary_size());
  // Without these stops a model may continue with a new question, or print the end marks of its training as text.
  const GenerationOptions options{
      static_cast<int>(config.max_new_tokens), {1, 1, vocabulary}, 0, {"Question:", "</s>", "<|im_end|>"}, batch_size};
  return in_element_type(compute.dtype, [&](auto type) {
    ScoringModel<typename decltype(type)::type> model(session, source, compute);
    Answers answers;
    if (!work.choices.empty()) answers.log_likelihoods = log_likelihoods(model.llama, work.choices, batch_size);
    if (work.prompts.empty()) return answers;
    const GenerationOptions ended = with_ends(options, work.ends);
    answers.completions = generate(model.llama, tokenizer, work.prompts, ended);
    answers.eos_token_ids = nlohmann::json(ended.eos_ids).dump();
    answers.stop_strings = nlohmann::json(ended.stops).dump();
    return answers;
  });
}

void add_choices(TaskResult& result, const TaskItem& item, std::span<const double> log_likelihoods) {
  std::vector<double> lengths;
  for (const std::string& choice : item.choices) lengths.push_back(static_cast<double>(character_count(choice)));
  const std::size_t plain = best_choice(log_likelihoods), normalised = best_choice_normalised(log_likelihoods, lengths);
  result.answer.push_back(item.answer);
  result.predicted.push_back(plain);
  result.predicted_normalised.push_back(normalised);
  result.hit.push_back(plain == item.answer);
  result.hit_normalised.push_back(normalised == item.answer);
  if (result.offsets.empty()) result.offsets.push_back(0);
  result.log_likelihoods.insert(result.log_likelihoods.end(), log_likelihoods.begin(), log_likelihoods.end());
  result.offsets.push_back(result.log_likelihoods.size());
}

/// Scores the answers. The tasks are in the order of their first items in the file.
std::vector<TaskResult> judge(const std::vector<TaskItem>& items, const Answers& answers) {
  std::vector<TaskResult> results;
  std::size_t choice = 0, completion = 0;
  for (const TaskItem& item : items) {
    auto found = std::ranges::find(results, item.task, &TaskResult::task);
    if (found == results.end()) {
      results.emplace_back().task = item.task;
      found = results.end() - 1;
    }
    found->item.push_back(item.index);
    if (item.choices.empty()) {
      const std::string& text = answers.completions[completion++].text;
      found->match.push_back(answer_number(text) == item.number);
      found->match_strict.push_back(gsm8k_strict(text) == item.compared);
      found->match_flexible.push_back(gsm8k_flexible(text) == item.compared);
    } else {
      add_choices(*found, item, std::span(answers.log_likelihoods).subspan(choice, item.choices.size()));
      choice += item.choices.size();
    }
  }
  return results;
}

std::string percent(const std::vector<std::uint8_t>& hits) {
  const HitRate rate = hit_rate(hits);
  return hits.size() < 2 ? fmt::format("{:.2f} %", 100 * rate.share)
                         : fmt::format("{:.2f} +- {:.2f} %", 100 * rate.share, 100 * rate.standard_error);
}

void print_table(const std::vector<TaskResult>& results) {
  print_result("\n{:<36}{:>8}{:>20}{:>24}{:>20}\n", "task", "items", "accuracy", "normalised by length", "exact match");
  TaskResult all;
  std::size_t tasks = 0;
  const auto row = [](const TaskResult& r) {
    if (r.multiple_choice())
      print_result("{:<36}{:>8}{:>20}{:>24}\n", r.task, r.item.size(), percent(r.hit), percent(r.hit_normalised));
    else
      for (const auto& [name, match] : {std::pair(r.task, &r.match),
                                        {r.task + ", strict-match", &r.match_strict},
                                        {r.task + ", flexible-extract", &r.match_flexible}})
        print_result("{:<36}{:>8}{:>64}\n", name, r.item.size(), percent(*match));
  };
  for (const TaskResult& result : results) {
    row(result);
    if (!result.multiple_choice()) continue;
    ++tasks;
    all.item.insert(all.item.end(), result.item.begin(), result.item.end());
    all.hit.insert(all.hit.end(), result.hit.begin(), result.hit.end());
    all.hit_normalised.insert(all.hit_normalised.end(), result.hit_normalised.begin(), result.hit_normalised.end());
  }
  all.task = "all of multiple choice";
  if (tasks > 1) row(all);
}

void run_task(Session& session, const TaskConfig& config) {
  const Runtime& runtime = session.runtime();
  check_output(runtime, config.output, config.overwrite);
  const WeightsSource source = locate_model(runtime, config.model);
  const Tokenizer tokenizer(source.side_files);
  const TaskItems tasks = read_task_items(config);
  Work work = encode(config, tasks.items, source.config, tokenizer);
  if (session.rank() == 0) {
    warn_of_doubled_bos(config, tokenizer, work);
    if (!tasks.not_scored.empty())
      log_warning(
          fmt::format("--num-fewshot {} uses all items of {} as examples, so these tasks are not scored; give examples "
                      "with --fewshot-file",
                      config.num_fewshot, excerpt_list(tasks.not_scored)));
  }
  log_info(fmt::format("{} items: {} choices to score, {} answers to generate", tasks.items.size(), work.choices.size(),
                       work.prompts.size()));
  if (!work.prompts.empty()) {
    work.ends = read_generation_settings(source.side_files, tokenizer, source.config.vocab_size);
    log_info(describe_ends(work.ends, tokenizer));
  }
  TaskSource described{whole_path(config.model).string(),
                       model_sha256(source, runtime, llama_units(source.config, session.world_size())),
                       whole_path(config.tasks).string(),
                       tasks.sha256,
                       tasks.prompts_sha256,
                       config.fewshot_file.empty() ? "" : whole_path(config.fewshot_file).string(),
                       tasks.fewshot_sha256,
                       tokenizer.hash(),
                       std::string(dtype_name(config.compute.dtype)),
                       device_name(runtime.device.type),
                       config.num_fewshot,
                       config.resolved,
                       config.libraries};
  const Answers answers = ask(session, config, source, tokenizer, work);
  described.eos_token_ids = answers.eos_token_ids;
  described.stop_strings = answers.stop_strings;
  const std::vector<TaskResult> results = judge(tasks.items, answers);
  on_root(runtime, [&] {
    print_table(results);
    write_tasks(config.output, existing_of(config.overwrite), described, results);
  });
}

}  // namespace

OptionTable task_options(TaskConfig& config) {
  OptionTable table("task");
  table.group("Input", {text_model_option(config),
                        required(path("tasks", "FILE", FileUse::file, config.tasks,
                                      "questions, one JSON object per line (.jsonl or .jsonl.gz)")),
                        whole("num-fewshot", config.num_fewshot, 0,
                              "examples with answers before each question: the first items of its task, which are not scored"),
                        path("fewshot-file", "FILE", FileUse::file, config.fewshot_file,
                             "take the examples from this file, and score all of --tasks"),
                        whole("max-new-tokens", config.max_new_tokens, 1, "most tokens of a generated answer (GSM8K)"),
                        config_option(), print_config_option()});
  table.group("Output", text_output(config, "file of results to write (HDF5)"));
  add_text_compute(table, config);
  table.then([&config](const OptionTable& given) {
    check_compute(config.compute, given);
    if (!config.fewshot_file.empty() && config.num_fewshot == 0)
      fail(ExitCode::usage, "--fewshot-file needs --num-fewshot, the number of examples to take from it");
  });
  return table;
}

Command task_command() {
  return command<TaskConfig>(
      "task", "Scores a model on questions: MMLU, ARC, HellaSwag and GSM8K as JSONL.",
      "mpirun -n 2 expunge task --model output/unlearn --tasks mmlu.jsonl --num-fewshot 5 --output task.h5", Ranks::any,
      task_options,
      [](TaskConfig& config, const OptionTable& given) { return start_inference(config, given, task_options, run_task); });
}

}  // namespace expunge
