// What a serialized sentencepiece model says of its pieces and of the text that it takes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace expunge {

/// A model as read from its protocol buffer (sentencepiece_model.proto); views into the bytes. The library shows less: neither
/// how it normalises nor which pieces users have defined.
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
  bool holds_zero_byte = false;  ///< in a piece: the library takes it for a shorter one, and ends the process over it
};

/// Reads as far as the bytes are a protocol buffer; the library refuses others.
PieceModel read_piece_model(std::string_view bytes);

/// The bytes of a character of valid UTF-8 as one number: enough to tell characters apart.
using Character = std::uint32_t;
Character first_character(std::string_view text);
/// Bytes of a character of valid UTF-8 that begins with this one.
constexpr std::size_t character_size(unsigned char lead) { return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4; }
/// Bytes of the first character of a text that is not empty.
std::size_t character_size(std::string_view text);

}  // namespace expunge
