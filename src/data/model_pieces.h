// The one thing a serialized sentencepiece model is searched for before the library sees it.
#pragma once

#include <string_view>

namespace expunge {

/// Whether a piece of the model (a protocol buffer: ModelProto.pieces is field 1, SentencePiece.piece field 1 of it) holds a
/// zero byte. The library takes such a piece for a shorter or an empty one, and ends the process when it is put into its trie.
/// False for bytes that are no protocol buffer, which the library refuses.
bool has_piece_with_zero_byte(std::string_view model);

}  // namespace expunge
