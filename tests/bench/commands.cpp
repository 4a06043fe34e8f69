// Whole commands from start to end: tokenising, and a model so small that overhead is everything.
#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "bench/sections.h"
#include "core/random.h"
#include "data/corpus.h"
#include "data/token_file.h"
#include "expunge/error.h"
#include "io/json.h"
#include "report/subprocess.h"
#include "support/temporary_folder.h"

namespace expunge::bench {
namespace {

namespace fs = std::filesystem;

double seconds_of(const auto& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

void run_or_fail(const std::vector<std::string>& command) {
  const auto finished = run_program(command, "");
  if (!finished) fail(ExitCode::usage, fmt::format("{} is not installed", command.front()));
  if (finished->status != 0) fail(ExitCode::internal, fmt::format("{} failed: {}", command.front(), finished->errors));
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// The project's texts in an order drawn again and again, joined to documents of about 8 KB, until there are `bytes` of them.
std::vector<std::string> documents(std::size_t bytes) {
  std::vector<std::string> texts, made;
  for (const auto& file : fs::recursive_directory_iterator(EXPUNGE_CORPUS))
    if (file.is_regular_file()) {
      CorpusReader reader({file.path()}, "");
      for (std::string text; reader.next(text);) texts.push_back(text);
    }
  std::uint64_t drawn = 0;
  for (std::size_t size = 0; size < bytes; size += made.back().size()) {
    made.emplace_back();
    while (made.back().size() < 8192) made.back() += texts[random_below(1, 1, drawn++, texts.size())] + "\n";
  }
  return made;
}

}  // namespace

void bench_tokenizing(const Bench& bench) {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = documents(std::size_t{100} << 20);
  std::string sample;
  for (std::size_t i = 0; i < 200; ++i) sample += texts[i];
  folder.write("sample.txt", sample);
  fs::create_directories(folder / "data/bench");
  double bytes = 0;
  {
    std::ofstream lines(folder / "data/bench/retain.jsonl");
    for (const std::string& text : texts) {
      lines << nlohmann::json{{"text", text}}.dump() << '\n';
      bytes += static_cast<double>(text.size());
    }
  }
  fs::create_directories(folder / "model");
  run_or_fail({"spm_train", "--input=" + (folder / "sample.txt").string(),
               "--model_prefix=" + (folder / "model/tokenizer").string(), "--model_type=bpe", "--vocab_size=4000",
               "--byte_fallback=true", "--hard_vocab_limit=false", "--minloglevel=2"});
  folder.write("model/tokenizer_config.json",
               R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "bos_token": "<s>",
    "eos_token": "</s>", "unk_token": "<unk>"})");
  sentencepiece::SentencePieceProcessor model;
  if (!model.Load((folder / "model/tokenizer.model").string()).ok())
    fail(ExitCode::internal, "the new tokenizer does not load");
  fmt::print("\n== tokenising {:.0f} MB in {} documents, vocabulary {}\n", 1e-6 * bytes, texts.size(), model.GetPieceSize());

  std::vector<double> theirs, ours;
  for (int round = 0; round < bench.rounds; ++round) {
    theirs.push_back(seconds_of([&] {
#pragma omp parallel for schedule(dynamic)
      for (const std::string& text : texts) {
        std::vector<int> ids;
        (void)model.Encode(text, &ids);
      }
    }));
    fs::remove(folder / "tokens.h5");
    ours.push_back(seconds_of([&] {
      run_or_fail({EXPUNGE_PROGRAM, "tokenize", "--tokenizer", (folder / "model").string(), "--data",
                   (folder / "data").string(), "--output", (folder / "tokens.h5").string(), "--max-length", "4096", "--quiet"});
    }));
  }
  fmt::print("sentencepiece, texts in memory, all cores {:>8.2f} s{:>8.1f} MB/s\n", median(theirs),
             1e-6 * bytes / median(theirs));
  fmt::print("expunge tokenize, from JSON Lines to HDF5 {:>8.2f} s{:>8.1f} MB/s, {:.2f} of it\n", median(ours),
             1e-6 * bytes / median(ours), median(theirs) / median(ours));
}

void bench_tiny(const Bench& bench) {
  constexpr int kVocabulary = 512, kLength = 256, kSequences = 80, kBatch = 4;
  const TemporaryFolder folder;
  folder.write("config.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 4,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-05, "vocab_size": 512, "tie_word_embeddings": true})");
  {
    TokenFileWriter writer(folder / "tokens.h5", {"", kVocabulary, kLength});
    writer.begin_split("bench", "retain");
    for (std::size_t s = 0; s < kSequences; ++s) {
      std::vector<std::int32_t> ids(kLength);
      for (std::size_t t = 0; t < ids.size(); ++t)
        ids[t] = static_cast<std::int32_t>(random_below(1, s, t, kVocabulary - 3)) + 3;
      writer.add_document(ids);
    }
    writer.end_split("random", "");
    writer.finish();
  }
  fmt::print("\n== 20 steps of {} x {} tokens, 0.26 M parameters, from the start of the process to a checkpoint\n", kBatch,
             kLength);
  const nlohmann::json work{{"task", "once"},
                            {"dtype", "float32"},
                            {"dim", 64},
                            {"mlp", 172},
                            {"layers", 5},
                            {"heads", 8},
                            {"kv_heads", 4},
                            {"vocabulary", kVocabulary},
                            {"tied", true},
                            {"tuned", true},
                            {"batch", kBatch},
                            {"length", kLength},
                            {"output", (folder / "peer").string()}};
  std::vector<double> ours, theirs;
  for (int round = 0; round < bench.rounds; ++round) {
    fs::remove_all(folder / "run");
    ours.push_back(seconds_of([&] {
      run_or_fail({EXPUNGE_PROGRAM, "train", "--init-config", (folder / "config.json").string(), "--tokens",
                   (folder / "tokens.h5").string(), "--split", "bench/retain", "--output-dir", (folder / "run").string(),
                   "--per-device-train-batch-size", std::to_string(kBatch), "--max-steps", "20", "--learning-rate", "1e-4"});
    }));
    if (!bench.peer) continue;
    std::vector<std::string> command = tuned_environment();
    command.insert(command.end(), {*bench.peer, EXPUNGE_PEER, work.dump()});
    theirs.push_back(seconds_of([&] { run_or_fail(command); }));
  }
  fmt::print("expunge train         {:>8.0f} ms\n", 1e3 * median(ours));
  if (bench.peer)
    fmt::print("PyTorch, tuned        {:>8.0f} ms{:>8.1f}x\n", 1e3 * median(theirs), median(theirs) / median(ours));
  else
    fmt::print("PyTorch              not installed\n");
}

}  // namespace expunge::bench
