// Checks tokens against a model's tokenizer and sliding window.
#include "inference/token_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/log.h"
#include "data/tokenizer.h"
#include "expunge/error.h"

namespace expunge {

namespace fs = std::filesystem;

bool check_tokenizer(const Runtime& runtime, const WeightsSource& source, const TokenFile& tokens) {
  const std::string known = on_root(runtime, [&] {
    if (!fs::exists(source.side_files / "tokenizer.model")) {
      // A model that begins with random weights fits any tokens.
      if (source.kind != WeightsSource::Kind::initial)
        log_warning(
            fmt::format("{} has no tokenizer.model, so it is unknown whether {} holds this model's tokens; copy the one "
                        "that the model was published with",
                        source.side_files.string(), tokens.path().string()));
      return std::string();
    }
    const Tokenizer tokenizer(source.side_files);
    const std::string& hash = tokens.info().tokenizer_sha256;
    if (hash != tokenizer.hash() && hash == tokenizer.former_hash())
      log_warning(fmt::format(
          "{}: an earlier version added BOS or EOS by another rule than {}; the tokens are used unchanged; tokenize "
          "the texts again for new work",
          tokens.path().string(), (source.side_files / "tokenizer.json").string()));
    else if (hash != tokenizer.hash())
      fail(ExitCode::bad_input,
           fmt::format("{}: the tokens are of another tokenizer than the model's in {}; tokenize the texts with "
                       "--tokenizer {}",
                       tokens.path().string(), source.side_files.string(), source.side_files.string()));
    return hash;
  });
  return !known.empty();
}

void check_window(const LlamaConfig& config, const std::string& name, const TokenSplit& split, std::size_t most) {
  if (config.sliding_window == 0) return;
  for (std::size_t s = 0; s < (most > 0 ? std::min(most, split.sequences()) : split.sequences()); ++s)
    if (split.length(s) > static_cast<std::size_t>(config.sliding_window))
      fail(ExitCode::bad_input,
           fmt::format("{} sequence {} has {} tokens, but the model's sliding window has {}, and longer sequences are not "
                       "supported; tokenize with --max-length {}",
                       name, s, split.length(s), config.sliding_window, config.sliding_window));
}

}  // namespace expunge
