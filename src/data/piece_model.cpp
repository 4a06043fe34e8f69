// Reads the fields of a sentencepiece model from its protocol buffer.
#include "data/piece_model.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace expunge {
namespace {

/// Takes a variable-length integer from the front; nullopt if it does not end.
std::optional<std::uint64_t> take_integer(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

/// Wire types of fields.
enum class Wire : std::uint64_t {
  integer = 0,
  eight_bytes = 1,
  byte_string = 2,
  group_begin = 3,
  group_end = 4,
  four_bytes = 5
};

/// A field with its integer or bytes.
struct Field {
  std::uint64_t number = 0;
  Wire wire = Wire::integer;
  std::uint64_t integer = 0;
  std::string_view bytes;

  /// Like the library, ignores a field with an unexpected wire type.
  bool is(std::uint64_t expected, Wire way) const { return number == expected && wire == way; }
};

/// Visits the fields outside of groups, up to the end or the first malformed field.
template <typename Visit>
void for_each_field(std::string_view message, const Visit& visit) {
  std::uint64_t groups = 0;
  while (const auto tag = take_integer(message)) {
    Field field{*tag >> 3, static_cast<Wire>(*tag & 7), 0, {}};
    std::uint64_t size = 0;
    switch (field.wire) {
      case Wire::integer:
        if (const auto value = take_integer(message))
          field.integer = *value;
        else
          return;
        break;
      case Wire::eight_bytes:
        size = 8;
        break;
      case Wire::byte_string:
        if (const auto length = take_integer(message))
          size = *length;
        else
          return;
        break;
      case Wire::group_begin:
        ++groups;
        continue;
      case Wire::group_end:
        if (groups-- == 0) return;
        continue;
      case Wire::four_bytes:
        size = 4;
        break;
      default:
        return;
    }
    if (size > message.size()) return;
    field.bytes = message.substr(0, size);
    message.remove_prefix(size);
    if (groups == 0) visit(field);
  }
}

PieceModel::Piece read_piece(std::string_view message, bool& holds_zero_byte) {
  PieceModel::Piece piece;
  for_each_field(message, [&](const Field& field) {
    if (field.is(1, Wire::byte_string)) {
      piece.text = field.bytes;
      holds_zero_byte = holds_zero_byte || field.bytes.find('\0') != std::string_view::npos;
    } else if (field.is(2, Wire::four_bytes)) {
      std::memcpy(&piece.score, field.bytes.data(), sizeof(float));  // little-endian, as every supported machine
    } else if (field.is(3, Wire::integer) && field.integer >= 1 && field.integer <= 6) {
      piece.type = static_cast<PieceModel::Type>(field.integer);
    }
  });
  return piece;
}

void read_trainer_spec(std::string_view message, PieceModel& model) {
  for_each_field(message, [&](const Field& field) {
    if (field.is(3, Wire::integer) && field.integer >= 1 && field.integer <= 4)
      model.kind = static_cast<PieceModel::Kind>(field.integer);
    if (field.is(24, Wire::integer)) model.whitespace_is_suffix = field.integer != 0;
    if (field.is(35, Wire::integer)) model.byte_fallback = field.integer != 0;
  });
}

void read_normalizer_spec(std::string_view message, PieceModel& model) {
  for_each_field(message, [&](const Field& field) {
    if (field.is(2, Wire::byte_string)) model.charsmap = field.bytes;
    if (field.is(5, Wire::integer)) model.escapes_whitespace = field.integer != 0;
  });
}

}  // namespace

PieceModel read_piece_model(std::string_view bytes) {
  PieceModel model;
  for_each_field(bytes, [&](const Field& field) {
    if (field.is(1, Wire::byte_string)) model.pieces.push_back(read_piece(field.bytes, model.holds_zero_byte));
    if (field.is(2, Wire::byte_string)) read_trainer_spec(field.bytes, model);
    if (field.is(3, Wire::byte_string)) read_normalizer_spec(field.bytes, model);
  });
  return model;
}

std::size_t character_size(std::string_view text) {
  return std::min(character_size(static_cast<unsigned char>(text.front())), text.size());
}

Character first_character(std::string_view text) {
  Character character = 0;
  for (const char byte : text.substr(0, character_size(text))) character = character << 8 | static_cast<unsigned char>(byte);
  return character;
}

}  // namespace expunge
