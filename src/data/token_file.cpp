// Writes and reads token files over HDF5.
#include "data/token_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kFormatVersion = 1;
constexpr std::uint64_t kIdsChunk = 1 << 16, kOffsetsChunk = 1 << 12;  // elements: 256 KiB and 32 KiB
constexpr std::size_t kBuffered = 1 << 20;                             // ids kept before they are written

void must_be_new(const fs::path& path) {
  if (fs::exists(path))
    fail(ExitCode::output, fmt::format("{} exists already; remove it or choose another name", path.string()));
}

const fs::path& free_place(const fs::path& path) {
  must_be_new(path);
  check_writable(path);
  return path;
}

}  // namespace

std::string full_split_name(const std::string& domain, const std::string& split) {
  return split.find('/') == std::string::npos ? domain + "/" + split : split;
}

TokenFileWriter::TokenFileWriter(const fs::path& path, const TokenFileInfo& info)
    : pending_(free_place(path), Existing::keep), info_(info), file_(Hdf5File::create(pending_.temporary())) {
  file_.write_attribute("/", "format_version", kFormatVersion);
  file_.write_attribute("/", "version", std::string(EXPUNGE_VERSION));
  file_.write_attribute("/", "tokenizer_sha256", info.tokenizer_sha256);
  file_.write_attribute("/", "vocabulary_size", info.vocabulary_size);
  file_.write_attribute("/", "max_length", info.max_length);
}

void TokenFileWriter::begin_split(const std::string& domain, const std::string& split) {
  group_ = fmt::format("/{}/{}", domain, split);
  counts_ = {};
  file_.create_extendible<std::uint32_t>(group_ + "/ids", kIdsChunk);
  file_.create_extendible<std::uint64_t>(group_ + "/offsets", kOffsetsChunk);
  file_.create_extendible<std::uint64_t>(group_ + "/documents", kOffsetsChunk);
  offsets_ = {0};
}

void TokenFileWriter::add_document(std::span<const std::int32_t> ids) {
  add_ids(ids);
  end_document();
}

void TokenFileWriter::add_ids(std::span<const std::int32_t> ids) {
  while (!ids.empty()) {
    const auto next = ids.first(std::min<std::size_t>(ids.size(), info_.max_length - sequence_.size()));
    ids = ids.subspan(next.size());
    sequence_.insert(sequence_.end(), next.begin(), next.end());
    if (sequence_.size() == info_.max_length) end_sequence();
  }
}

void TokenFileWriter::end_document() {
  if (!sequence_.empty()) end_sequence();
  ++counts_.documents;
}

void TokenFileWriter::end_sequence() {
  if (sequence_.size() < kShortest) {
    ++counts_.dropped;
  } else {
    ids_.insert(ids_.end(), sequence_.begin(), sequence_.end());
    ++counts_.sequences;
    counts_.tokens += sequence_.size();
    offsets_.push_back(counts_.tokens);
    documents_.push_back(counts_.documents);
  }
  sequence_.clear();
  if (ids_.size() + offsets_.size() > kBuffered) flush();
}

void TokenFileWriter::flush() {
  file_.append<std::uint32_t>(group_ + "/ids", ids_);
  file_.append<std::uint64_t>(group_ + "/offsets", offsets_);
  file_.append<std::uint64_t>(group_ + "/documents", documents_);
  ids_.clear();
  offsets_.clear();
  documents_.clear();
}

SplitCounts TokenFileWriter::end_split(const std::string& source, const std::string& source_sha256) {
  flush();
  file_.write_attribute(group_, "source", source);
  file_.write_attribute(group_, "source_sha256", source_sha256);
  file_.write_attribute(group_, "documents", counts_.documents);
  file_.write_attribute(group_, "sequences", counts_.sequences);
  file_.write_attribute(group_, "tokens", counts_.tokens);
  file_.write_attribute(group_, "dropped", counts_.dropped);
  return counts_;
}

void TokenFileWriter::finish(const std::function<void(Hdf5File&)>& annotate) {
  file_.flush();  // `annotate` may read what was written
  if (annotate) annotate(file_);
  file_.close();
  must_be_new(pending_.path());
  pending_.commit();
}

std::vector<std::string> split_groups(const Hdf5File& file, const std::string& root) {
  std::vector<std::string> splits;
  for (const std::string& domain : file.children(root.empty() ? "/" : root)) {
    if (!file.is_group(root + "/" + domain)) continue;
    for (const std::string& split : file.children(root + "/" + domain)) splits.push_back(domain + "/" + split);
  }
  return splits;
}

TokenFile::TokenFile(const fs::path& path) : file_(Hdf5File::open(path)) {
  std::vector<std::string> lacking;
  for (const char* name : {"format_version", "tokenizer_sha256", "vocabulary_size", "max_length"})
    if (!file_.has_attribute("/", name)) lacking.emplace_back(name);
  if (!lacking.empty())
    fail(ExitCode::bad_input,
         fmt::format("{}: not a token file of expunge tokenize: its root lacks {}: {}; make it with expunge tokenize, "
                     "or add what is missing",
                     path.string(), counted(lacking.size(), "attribute"), fmt::join(lacking, ", ")));
  if (const auto version = file_.read_attribute<std::uint64_t>("/", "format_version"); version != kFormatVersion) {
    fail(ExitCode::bad_input,
         fmt::format("{}: expected format version {}, found {}; tokenize again", path.string(), kFormatVersion, version));
  }
  info_ = {file_.read_attribute<std::string>("/", "tokenizer_sha256"),
           file_.read_attribute<std::uint64_t>("/", "vocabulary_size"), file_.read_attribute<std::uint64_t>("/", "max_length")};
}

std::vector<std::string> TokenFile::domains() const { return file_.children("/"); }

std::vector<std::string> TokenFile::splits(const std::string& domain) const {
  if (domain.find('/') == std::string::npos && file_.is_group("/" + domain)) return file_.children("/" + domain);
  fail(ExitCode::bad_input,
       fmt::format("{} has no domain '{}'; it has: {}", file_.path().string(), domain, excerpt_list(domains())));
}

bool TokenFile::has(const std::string& name) const { return file_.is_group("/" + name) && file_.exists("/" + name + "/ids"); }

SplitCounts TokenFile::counts(const std::string& name) const {
  const auto read = [&](const char* attribute) { return file_.read_attribute<std::uint64_t>("/" + name, attribute); };
  return {read("documents"), read("sequences"), read("tokens"), read("dropped")};
}

TokenSplit TokenFile::split(const std::string& name, int vocabulary) const {
  const std::string place = fmt::format("{}: {}", file_.path().string(), name);
  const auto bad = [&](const std::string& what) { fail(ExitCode::bad_input, place + ": " + what); };
  if (!has(name)) {
    const std::string domain = name.substr(0, name.find('/'));
    bad(fmt::format("there is no such split; '{}' has: {}", domain, excerpt_list(splits(domain))));
  }
  const std::string ids_path = "/" + name + "/ids", offsets_path = "/" + name + "/offsets";
  if (file_.shape(ids_path).size() != 1 || file_.shape(offsets_path).size() != 1)
    bad("ids and offsets must have one dimension");
  std::vector<std::uint64_t> offsets = file_.read_all<std::uint64_t>(offsets_path);
  const std::uint64_t tokens = file_.size<std::uint32_t>(ids_path);
  if (offsets.size() < 2) bad("it holds no sequences");
  if (offsets.front() != 0) bad(fmt::format("offsets begin with {}, expected 0", offsets.front()));
  if (offsets.back() != tokens) bad(fmt::format("offsets end with {}, expected the number of ids, {}", offsets.back(), tokens));
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    if (offsets[i + 1] < offsets[i] + 2 || offsets[i + 1] > tokens || offsets[i + 1] - offsets[i] > info_.max_length) {
      bad(fmt::format("sequence {} goes from {} to {}, expected 2 to {} ids", i, offsets[i], offsets[i + 1], info_.max_length));
    }
  }
  std::vector<std::int32_t> ids(tokens);
  std::vector<std::uint32_t> block;
  for (std::uint64_t begin = 0; begin < tokens; begin += block.size()) {
    block.resize(std::min<std::uint64_t>(tokens - begin, kBuffered));
    file_.read<std::uint32_t>(ids_path, begin, block);
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (block[i] >= static_cast<std::uint32_t>(vocabulary)) {
        const auto after = std::upper_bound(offsets.begin(), offsets.end(), begin + i);
        const auto sequence = static_cast<std::size_t>(after - offsets.begin()) - 1;
        bad(fmt::format(
            "sequence {}, position {}: id {} is outside the model's vocabulary of {}; was it tokenised for another model?",
            sequence, begin + i - offsets[sequence], block[i], vocabulary));
      }
      ids[begin + i] = static_cast<std::int32_t>(block[i]);
    }
  }
  std::vector<std::uint64_t> documents = read_documents("/" + name + "/documents", offsets.size() - 1);
  return {std::move(ids), std::move(offsets), std::move(documents)};
}

std::vector<std::uint64_t> TokenFile::read_documents(const std::string& dataset, std::size_t sequences) const {
  if (!file_.exists(dataset)) return {};
  const auto bad = [&](const std::string& what) {
    fail(ExitCode::bad_input, fmt::format("{}: {}: {}; tokenize again", file_.path().string(), dataset, what));
  };
  std::vector<std::uint64_t> documents = file_.read_all<std::uint64_t>(dataset);
  if (documents.size() != sequences)
    bad(fmt::format("expected the document of each of {} sequences, found {} numbers", sequences, documents.size()));
  if (const auto fall = std::ranges::is_sorted_until(documents); fall != documents.end())
    bad(fmt::format("expected numbers that do not fall, found {} after {}", *fall, *(fall - 1)));
  return documents;
}

std::optional<Duplicates> TokenFile::duplicates() const {
  std::vector<std::string> names;
  for (const std::string& domain : domains())
    for (const std::string& split : splits(domain)) names.push_back(domain + "/" + split);
  return read_duplicates(file_, names);
}

std::vector<std::size_t> TokenSplit::absent_from(const TokenSplit& other) const {
  std::vector<std::span<const std::int32_t>> others;
  for (std::size_t i = 0; i < other.sequences(); ++i) others.push_back(other.ids(i));
  std::ranges::sort(others, std::ranges::lexicographical_compare);
  std::vector<std::size_t> absent;
  for (std::size_t i = 0; i < sequences(); ++i)
    if (!std::ranges::binary_search(others, ids(i), std::ranges::lexicographical_compare)) absent.push_back(i);
  return absent;
}

TokenSplit TokenSplit::only(std::span<const std::size_t> sequences) const {
  TokenSplit chosen({}, {0});
  for (const std::size_t i : sequences) {
    chosen.ids_.insert(chosen.ids_.end(), ids(i).begin(), ids(i).end());
    chosen.offsets_.push_back(chosen.ids_.size());
    if (!documents_.empty()) chosen.documents_.push_back(documents_[i]);
  }
  return chosen;
}

void TokenFile::check(const std::vector<std::string>& names, int vocabulary) const {
  for (const std::string& name : names) (void)split(name, vocabulary);
}

}  // namespace expunge
