// Compressed size of a text, a measure of its redundancy.
#pragma once

#include <cstddef>
#include <string_view>

namespace expunge {

/// Bytes of the text as a zlib stream (RFC 1950) at zlib's default level.
std::size_t compressed_size(std::string_view text);

}  // namespace expunge
