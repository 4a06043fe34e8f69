// What fuzz targets of tokenizers check: one that is accepted encodes to ids of its vocabulary, and decodes.
#pragma once

#include "data/tokenizer.h"
#include "inference/token_checks.h"
#include "target.h"

namespace expunge::fuzz {

/// Of the tokenizer in folder().
inline void check_tokenizer() {
  accepts(folder().path().string(), [] {
    const Tokenizer tokenizer(folder().path());
    for (const char* text : {"", " ", "the cat <s> sat</s><unk>  <pad> x\n", "\u2581the \u00e9 \U0001f600\n"}) {
      const std::vector<std::int32_t> ids = tokenizer.encode(text);
      for (const std::int32_t id : ids) require(id >= 0 && id < tokenizer.vocabulary_size(), "an id lies in the vocabulary");
      tokenizer.decode(ids);
    }
  });
}

}  // namespace expunge::fuzz
