// Walking the fields of a protocol buffer.
#include "data/model_pieces.h"

#include <cstdint>
#include <optional>

namespace expunge {
namespace {

/// Takes a variable-length integer from the front; nothing where it does not end.
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

/// Whether `holds` is true of one of the byte strings in field 1, until the end or what is no field.
template <typename Holds>
bool any_in_field_1(std::string_view message, const Holds& holds) {
  enum Wire : std::uint64_t { integer = 0, eight_bytes = 1, byte_string = 2, group_begin = 3, group_end = 4, four_bytes = 5 };
  while (const auto tag = take_integer(message)) {
    std::uint64_t size = 0;
    switch (*tag & 7) {
      case integer:
        if (!take_integer(message)) return false;
        break;
      case eight_bytes:
        size = 8;
        break;
      case byte_string:
        if (const auto length = take_integer(message); length && *length <= message.size())
          size = *length;
        else
          return false;
        if (*tag >> 3 == 1 && holds(message.substr(0, size))) return true;
        break;
      case group_begin:
      case group_end:
        break;  // its fields follow
      case four_bytes:
        size = 4;
        break;
      default:
        return false;
    }
    if (size > message.size()) return false;
    message.remove_prefix(size);
  }
  return false;
}

}  // namespace

bool has_piece_with_zero_byte(std::string_view model) {
  const auto has_zero = [](std::string_view text) { return text.find('\0') != std::string_view::npos; };
  return any_in_field_1(model, [&](std::string_view piece) { return any_in_field_1(piece, has_zero); });
}

}  // namespace expunge
