// `expunge tokenize`: encodes documents in parallel, one batch at a time, and writes them in order.
#include "commands/tokenize.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <span>

#include "cli/suggest.h"
#include "cli/values.h"
#include "commands/file_uses.h"
#include "commands/shared_options.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/process.h"
#include "core/text.h"
#include "data/corpus.h"
#include "data/duplicates.h"
#include "data/token_file.h"
#include "data/tokenizer.h"
#include "expunge/error.h"
#include "expunge/kernels.h"
#include "run/provenance.h"
#include "session/version.h"

namespace expunge {
namespace {

constexpr std::size_t kBatchBytes = 4 << 20;    // enough work for every thread, little memory
constexpr std::size_t kDocumentBytes = 1 << 8;  // approximate memory of a document besides its text

using Ids = std::vector<std::int32_t>;

struct Document {
  std::string text, where;
};

std::vector<Ids> encode_all(const Tokenizer& tokenizer, const std::vector<Document>& documents) {
  std::vector<Ids> ids(documents.size());
  parallel_tasks(documents.size(),
                 [&](std::size_t i, int) { ids[i] = tokenizer.encode(documents[i].text, documents[i].where); });
  return ids;
}

std::string file_names(const SplitSource& source) {
  std::vector<std::string> names;
  for (const auto& file : source.files) names.push_back(file.filename().string());
  return fmt::format("{}", fmt::join(names, ", "));
}

/// Warns of a split name that is one typing error away from a missing forget or retain, because unlearning needs those splits.
void warn_of_slips(const std::vector<SplitSource>& splits) {
  std::map<std::string, std::vector<std::string>> domains;
  for (const SplitSource& split : splits) domains[split.domain].push_back(split.split);
  for (const auto& [domain, names] : domains)
    for (const std::string expected : {"forget", "retain"}) {
      if (std::ranges::find(names, expected) != names.end()) continue;
      for (const std::string& name : names) {
        const std::string small = in_small_letters(name);
        // forget10 is a different name, no typing error.
        if (small != expected && (small.starts_with(expected) || edit_distance(small, expected) > 1)) continue;
        log_warning(fmt::format("{}: no split is named {}, but one is named {}: rename its file unless you mean that", domain,
                                expected, name));
      }
    }
}

void warn_of_capital_endings(const TokenizeOptions& options) {
  for (const std::filesystem::path& path : capital_endings(options.data, options.domains))
    log_warning(fmt::format("{}: is not read; write its ending in small letters", path.string()));
}

void tokenize_split(const Tokenizer& tokenizer, const SplitSource& source, const std::string& text_column,
                    TokenFileWriter& writer) {
  const auto began = std::chrono::steady_clock::now();
  const std::string name = source.domain + "/" + source.split;
  CorpusReader reader(source.files, text_column);
  writer.begin_split(source.domain, source.split);
  std::uint64_t bytes = 0, doubled = 0;
  for (bool more = true; more;) {
    std::vector<Document> batch;
    std::string long_text;
    for (std::size_t size = 0; size < kBatchBytes && long_text.empty();) {
      std::string text;
      if (!(more = reader.next(text))) break;
      bytes += text.size();
      size += text.size() + kDocumentBytes;
      if (text.size() > kBatchBytes)
        long_text = std::move(text);
      else
        batch.push_back({std::move(text), reader.where()});
    }
    for (const Ids& ids : encode_all(tokenizer, batch)) {
      doubled += tokenizer.doubles_bos(ids);
      writer.add_document(ids);
    }
    if (long_text.empty()) continue;
    // Ids of a long document are written piece by piece, because they may take several times the memory of its text.
    bool begins = true;
    tokenizer.encode(long_text, reader.where(), [&](std::span<const std::int32_t> ids) {
      doubled += begins && tokenizer.doubles_bos(ids);
      begins = false;
      writer.add_ids(ids);
    });
    writer.end_document();
  }
  const SplitCounts counts = writer.end_split(file_names(source), reader.source_sha256());
  if (counts.sequences == 0) {
    fail(ExitCode::bad_input,
         fmt::format("{} ({}): {}, but none gives a sequence of at least {} tokens; remove the split or add "
                     "longer texts",
                     (source.files[0].parent_path() / source.split).string(), file_names(source),
                     counted(counts.documents, "document"), TokenFileWriter::kShortest));
  }
  if (doubled > 0) log_warning(doubled_bos(tokenizer, name, doubled));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  log_info(fmt::format("{}: {}, {}, {}, {} dropped ({:.1f} MB/s)", name, counted(counts.documents, "document"),
                       counted(counts.sequences, "sequence"), counted(counts.tokens, "token"), counted(counts.dropped, "chunk"),
                       1e-6 * static_cast<double>(bytes) / seconds));
}

/// Warns of settings in tokenizer.json that differ from those in use. Returns them for the record.
std::string warn_of_differences(const std::filesystem::path& folder, const Tokenizer& tokenizer) {
  const std::string differences = fmt::format("{}", fmt::join(tokenizer_differences(folder, tokenizer), "; "));
  if (!differences.empty())
    log_warning(fmt::format("{} differs from tokenizer.model and tokenizer_config.json, which define the ids: {}",
                            (folder / "tokenizer.json").string(), differences));
  return differences;
}

/// Counts the text that splits share, writes the counts, and warns: forgotten, kept and compared texts should differ.
void count_shared_text(const std::vector<SplitSource>& splits, double near_threshold, Hdf5File& file) {
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::string> names;
  for (const SplitSource& split : splits) names.push_back(split.domain + "/" + split.split);
  const Duplicates duplicates = find_duplicates(file, names, near_threshold);
  write_duplicates(file, duplicates);
  for (const std::string& line : describe_duplicates(duplicates, [](const SharedText&) { return true; })) log_warning(line);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  log_info(fmt::format("splits compared for shared text ({:.1f} s)", seconds));
}

}  // namespace

int tokenize(const TokenizeOptions& options) {
  log_setup(0, 1, options.quiet);
  const Tokenizer tokenizer(options.tokenizer);
  const std::string differences = warn_of_differences(options.tokenizer, tokenizer);
  warn_of_capital_endings(options);
  const std::vector<SplitSource> splits = find_splits(options.data, options.domains);
  warn_of_slips(splits);
  TokenFileWriter writer(options.output, {tokenizer.hash(), static_cast<std::uint64_t>(tokenizer.vocabulary_size()),
                                          static_cast<std::uint64_t>(options.max_length)});
  for (const SplitSource& split : splits) tokenize_split(tokenizer, split, options.text_column, writer);
  // The inputs are recorded as hashes of the tokenizer and of each split's source.
  const Provenance provenance{"", "", options.resolved, options.libraries, job_restarts()};
  writer.finish([&](Hdf5File& file) {
    count_shared_text(splits, options.near_duplicate_threshold, file);
    write_provenance(file, provenance);
    if (!differences.empty()) file.write_attribute("/", "tokenizer_differences", differences);
  });
  log_info(fmt::format("written: {}", options.output.string()));
  return static_cast<int>(ExitCode::done);
}

OptionTable tokenize_options(TokenizeOptions& config) {
  OptionTable table("tokenize");
  table.group(
      "Input",
      {required(path("tokenizer", "DIR", FileUse::model, config.tokenizer, "folder of the model, with tokenizer.model")),
       required(path("data", "DIR", FileUse::texts, config.data, "folder of texts: DOMAIN/SPLIT.jsonl, .jsonl.gz or .txt")),
       list("domain", "NAME", config.domains, "domain to read; without it, every folder of --data"),
       text("text-column", "NAME", config.text_column, "column of the documents; without it, text or else content"),
       config_option(), print_config_option()});
  table.group("Output",
              {required(path("output", "FILE", FileUse::output, config.output, "token file to write (HDF5)")),
               whole("max-length", config.max_length, 5, "most ids in a sequence; longer documents are cut into several"),
               real("near-duplicate-threshold", config.near_duplicate_threshold, kSimilarity,
                    "count documents of this similarity (Jaccard, of their runs of five ids) as nearly equal; 0: "
                    "only equal ones"),
               quiet_option(config.quiet)});
  return table;
}

Command tokenize_command() {
  return command<TokenizeOptions>("tokenize", "Turns folders of text into one token file.",
                                  "expunge tokenize --tokenizer models/Yi-6B --data texts --output tokens.h5 --max-length 4096",
                                  Ranks::one, tokenize_options, [](TokenizeOptions& config, const OptionTable& given) {
                                    check_file_uses(given);
                                    config.resolved = tokenize_options(config).text();
                                    config.libraries = version_text(cpu_kernels());
                                    return tokenize(config);
                                  });
}

}  // namespace expunge
