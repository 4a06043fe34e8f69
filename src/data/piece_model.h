// Pieces and normalisation of a serialized sentencepiece model.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace expunge {

/// A model read from its protocol buffer (sentencepiece_model.proto); views into the bytes. The library exposes neither the
/// normalisation nor the user-defined pieces.
struct PieceModel {
  /// ModelProto.SentencePiece.Type
  enum class Type : std::uint64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
  struct Piece {
    std::string_view text;
    float score = 0;
    Type type = Type::normal;
    /// Whether text may become this piece.
    bool in_text() const { return type == Type::normal || type == Type::user_defined || type == Type::unused; }
  };
  /// TrainerSpec.ModelType
  enum class Kind : std::uint64_t { unigram = 1, bpe = 2, word = 3, character = 4 };

  std::vector<Piece> pieces;  ///< by id
  Kind kind = Kind::unigram;
  bool byte_fallback = false;
  bool whitespace_is_suffix = false;
  bool escapes_whitespace = true;
  std::string_view charsmap;     ///< normalisation rules; empty for none
  bool holds_zero_byte = false;  ///< in a piece; the library would cut the piece there and then abort the process
};

/// Reads the valid part of a protocol buffer; the library refuses malformed ones.
PieceModel read_piece_model(std::string_view bytes);

/// The bytes of a valid UTF-8 character as one number, which identifies it.
using Character = std::uint32_t;
Character first_character(std::string_view text);
/// Length in bytes of a valid UTF-8 character with this lead byte.
constexpr std::size_t character_size(unsigned char lead) {
  if (lead < 0xc0) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
/// Length in bytes of the first character of a non-empty text.
std::size_t character_size(std::string_view text);

}  // namespace expunge
