// `expunge generate`: continues the prompts of a JSONL file and writes them with their completions.
#include "commands/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/values.h"
#include "commands/shared_options.h"
#include "commands/start.h"
#include "core/log.h"
#include "core/process.h"
#include "core/random.h"
#include "core/text.h"
#include "data/json_lines.h"
#include "expunge/error.h"
#include "inference/generation.h"
#include "inference/scoring_model.h"
#include "io/files.h"
#include "io/hash.h"
#include "model/llama.h"
#include "run/compute_options.h"
#include "run/output.h"
#include "run/provenance.h"

namespace expunge {
namespace {

constexpr std::uint64_t kRecordLimit = std::uint64_t{64} << 20;
constexpr std::array<const char*, 3> kReasons = {"stop", "length", "eos"};
constexpr std::array<const char*, 3> kFields = {"completion", "completion_tokens", "finish_reason"};

void check_fields(const JsonObject& line) {
  for (const char* field : kFields)
    if (line.value().contains(field))
      fail(ExitCode::bad_input,
           fmt::format("{}: has a field '{}' already, which the output would overwrite; rename it", line.where(), field));
}

/// Throws Error(usage) if --num-samples makes too many completions, because every rank holds all of them.
void check_samples(const GenerateConfig& config, std::size_t lines, std::size_t longest) {
  constexpr double kMostCompletions = 1 << 24, kMostPromptTokens = 1 << 30;
  const double completions = static_cast<double>(lines) * static_cast<double>(config.num_samples);
  const double tokens = completions * static_cast<double>(longest);
  if (completions > kMostCompletions || tokens > kMostPromptTokens)
    fail(ExitCode::usage,
         fmt::format(
             "--num-samples {}: {} prompts of up to {} tokens make {:.0f} completions, but a command holds at most {:.0f}, "
             "with {:.0f} tokens of prompts: lower it, or cut {} into several files",
             config.num_samples, lines, longest, completions, kMostCompletions, kMostPromptTokens, config.prompts.string()));
}

/// Reads the prompts; each line gives `samples` prompts, one after another.
std::vector<Prompt> read_prompts(const GenerateConfig& config, const LlamaConfig& model, const Tokenizer& tokenizer,
                                 const std::vector<JsonObject>& lines) {
  const JsonObject& first = lines.front();
  const bool is_text = !first.has("prompt") && first.value().contains("text");
  std::string column = config.prompt_column;
  if (column.empty()) column = is_text ? "text" : "prompt";
  std::vector<std::vector<std::int32_t>> encoded;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const JsonObject& line = lines[i];
    check_fields(line);
    if (line.value().contains(column) && !line.has(column))
      fail(ExitCode::bad_input,
           fmt::format("{}: the prompt in column '{}' is null; remove the line, or name another column with --prompt-column",
                       line.where(), column));
    if (!line.has(column))
      fail(ExitCode::bad_input,
           fmt::format("{}: has no prompt in {} (its columns: {}); name the column of the prompts with --prompt-column",
                       line.where(),
                       config.prompt_column.empty() && i == 0 ? "'prompt' or 'text'" : fmt::format("column '{}'", column),
                       excerpt_list(line.keys())));
    encoded.push_back(prompt_ids(tokenizer, line.string(column), line.where()));
    check_prompt(line.where(), encoded.back(), model);
    longest = std::max(longest, encoded.back().size());
  }
  check_samples(config, lines.size(), longest);
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (std::uint64_t sample = 0; sample < static_cast<std::uint64_t>(config.num_samples); ++sample)
      prompts.push_back({encoded[i], random_bits(random_stream("generate"), i, sample)});
  return prompts;
}

void warn_of_doubled_bos(const GenerateConfig& config, const Tokenizer& tokenizer, const std::vector<Prompt>& prompts) {
  const auto doubled = std::ranges::count_if(prompts, [&](const Prompt& prompt) { return tokenizer.doubles_bos(prompt.ids); });
  const std::int64_t lines = doubled / config.num_samples;
  if (lines > 0) log_warning(doubled_bos(tokenizer, config.prompts.string(), static_cast<std::uint64_t>(lines)));
}

std::string output_lines(const GenerateConfig& config, const std::vector<JsonObject>& lines,
                         const std::vector<Completion>& completions) {
  std::string text;
  for (std::size_t i = 0; i < completions.size(); ++i) {
    nlohmann::json line = lines[i / static_cast<std::size_t>(config.num_samples)].value();
    line[kFields[0]] = completions[i].text;
    line[kFields[1]] = completions[i].ids.size();
    line[kFields[2]] = kReasons[static_cast<std::size_t>(completions[i].reason)];
    text += line.dump() + "\n";
  }
  return text;
}

/// The record of the output's origin, in a file beside it, because the output's lines have no place for it.
std::string record_of(const GenerateConfig& config, const GenerationOptions& options, const std::string& text,
                      const std::string& model_hash, const std::string& prompts_hash) {
  nlohmann::ordered_json record = {{"output_sha256", sha256_text(text)},
                                   {"model", whole_path(config.model).string()},
                                   {"prompts", whole_path(config.prompts).string()},
                                   {"prompts_sha256", prompts_hash},
                                   {"dtype", dtype_name(config.compute.dtype)},
                                   {"stop", options.stops},  // `config` cannot hold a text of several lines
                                   {"eos_token_ids", options.eos_ids},
                                   {"pad_token_ids", options.pad_ids}};
  record.update(describe({model_hash, "", config.resolved, config.libraries, job_restarts()}));
  return record.dump(2) + "\n";
}

/// Throws Error(output) if another file has the record's name. A record is replaced, even one that a killed start left.
void check_record(const std::filesystem::path& record) {
  check_writable(record);
  if (!std::filesystem::exists(record)) return;
  const nlohmann::json found = nlohmann::json::parse(read_file(record, kRecordLimit), nullptr, false);
  if (!found.is_object() || !found.contains("output_sha256"))
    fail(ExitCode::output, fmt::format("{}: has the name of the record of --output, but is none; move it", record.string()));
}

/// Writes both files before publishing either: if one cannot be written, none is left. The record is published first, so that
/// a kill between the two leaves no output without its record.
void write_outputs(const std::filesystem::path& path, const std::string& text, const std::string& record, Existing existing) {
  PendingFile output(path, existing), beside(record_of_generation(path));
  write_new_file(output.temporary(), text);
  write_new_file(beside.temporary(), record);
  const FolderTurn turn(path);
  if (existing == Existing::keep && std::filesystem::exists(path)) return output.commit();  // throws
  beside.commit();
  output.commit();
}

void log_completions(const std::vector<Completion>& completions, const std::filesystem::path& output) {
  std::array<std::size_t, 3> reasons{};
  std::size_t tokens = 0;
  for (const Completion& completion : completions) {
    ++reasons[static_cast<std::size_t>(completion.reason)];
    tokens += completion.ids.size();
  }
  log_info(fmt::format("{}: {} completions, {} tokens; {} ended at a stop string, {} by length, {} at EOS", output.string(),
                       completions.size(), tokens, reasons[0], reasons[1], reasons[2]));
}

}  // namespace

std::filesystem::path record_of_generation(const std::filesystem::path& output) {
  std::filesystem::path path = output;
  path += std::string(".") + kExportRecord;
  return path;
}

namespace {

void run_generation(Session& session, const GenerateConfig& config) {
  const Runtime& runtime = session.runtime();
  check_output(runtime, config.output, config.overwrite);
  on_root(runtime, [&] { check_record(record_of_generation(config.output)); });
  const WeightsSource source = locate_model(runtime, config.model);
  const Tokenizer tokenizer(source.side_files);
  const auto [lines, prompts_hash] = read_json_lines(config.prompts);
  const std::vector<Prompt> prompts = read_prompts(config, source.config, tokenizer, lines);
  const GenerationSettings ends = read_generation_settings(source.side_files, tokenizer, source.config.vocab_size);
  log_info(describe_ends(ends, tokenizer));
  if (session.rank() == 0) warn_of_doubled_bos(config, tokenizer, prompts);
  ComputeConfig compute = config.compute;
  compute.gather = gather_for_generation(session, source.config, compute);
  const bool greedy = config.temperature == 0;
  const int vocabulary = std::min(source.config.vocab_size, tokenizer.vocabulary_size());
  const GenerationOptions options =
      with_ends({config.max_new_tokens.value(),
                 greedy ? LabelSampling{1, 1, vocabulary}
                        : LabelSampling{static_cast<int>(config.top_k), config.top_p, vocabulary, config.temperature},
                 config.seed, config.stops, static_cast<std::size_t>(config.per_device_eval_batch_size)},
                ends);
  const std::vector<Completion> completions = in_element_type(compute.dtype, [&](auto type) {
    ScoringModel<typename decltype(type)::type> model(session, source, compute);
    return generate(model.llama, tokenizer, prompts, options);
  });
  const std::string model_hash = model_sha256(source, runtime, llama_units(source.config, session.world_size()));
  on_root(runtime, [&] {
    const std::string text = output_lines(config, lines, completions);
    write_outputs(config.output, text, record_of(config, options, text, model_hash, prompts_hash),
                  existing_of(config.overwrite));
    log_completions(completions, config.output);
  });
}

/// A list of texts that keeps line breaks and blanks, unlike other lists.
Option stop_option(std::vector<std::string>& stops) {
  return {.key = "stop",
          .value_name = "TEXT",
          .expected = "a text that is not empty",
          .help = "end a completion before this text",
          .set =
              [&stops](const std::vector<std::string>& given) {
                if (std::ranges::any_of(given, &std::string::empty)) return false;
                stops = given;
                return true;
              },
          .get = [] { return std::vector<std::string>(); },
          .kind = Option::Kind::list,
          .resolved = false};
}

void check_sampling(const GenerateConfig& config, const OptionTable& given) {
  for (const char* key : {"top-k", "top-p"})
    if (config.temperature == 0 && given.source(key) != OptionSource::none)
      fail(ExitCode::usage, std::string("--") + key + " limits sampling, but without --temperature above 0 nothing is sampled");
  if (config.temperature == 0 && config.num_samples > 1)
    fail(ExitCode::usage, "--num-samples above 1 needs --temperature above 0: greedy completions are all equal");
  if (config.top_p == 0) fail(ExitCode::usage, "--top-p 0 leaves no token to sample; expected a number above 0 up to 1");
}

}  // namespace

OptionTable generate_options(GenerateConfig& config) {
  OptionTable table("generate");
  table.group("Input",
              {text_model_option(config),
               required(path("prompts", "FILE", FileUse::file, config.prompts,
                             "prompts, one JSON object per line (.jsonl or .jsonl.gz)")),
               text("prompt-column", "NAME", config.prompt_column, "field of the prompt; without it, prompt, else text"),
               config_option(), print_config_option()});
  std::vector<Option> output = text_output(config, "file to write: the objects of --prompts with their completions");
  output.front().beside = [](const std::filesystem::path& path) { return std::vector{record_of_generation(path)}; };
  table.group("Output", std::move(output));
  Option most = required(whole("max-new-tokens", config.max_new_tokens, 1, "most tokens of a completion"));
  table.group("Generation",
              {std::move(most), stop_option(config.stops),
               real("temperature", config.temperature, kTemperature,
                    "divide the logits by this and sample; 0: take the most likely token"),
               whole("top-k", config.top_k, 0, "sample from this many most likely tokens; 0: all"),
               real("top-p", config.top_p, kFraction, "sample from the most likely tokens that make up this probability"),
               whole("num-samples", config.num_samples, 1, "completions of each prompt, one per line"),
               seed("seed", config.seed,
                    "seed of the samples: they depend on it, the prompt's line, the sample's number and the place in the "
                    "completion")});
  add_text_compute(table, config);
  table.then([&config](const OptionTable& given) {
    check_compute(config.compute, given);
    check_sampling(config, given);
  });
  return table;
}

Command generate_command() {
  return command<GenerateConfig>("generate", "Continues the prompts of a JSONL file, greedily or by sampling.",
                                 "mpirun -n 2 expunge generate --model output/unlearn --prompts prompts.jsonl \\\n"
                                 "    --max-new-tokens 100 --output completions.jsonl",
                                 Ranks::any, generate_options, [](GenerateConfig& config, const OptionTable& given) {
                                   return start_inference(config, given, generate_options, run_generation);
                                 });
}

}  // namespace expunge
