// Compressed size by one call of zlib.
#include "data/compressed_size.h"

#include <zlib.h>

#include <vector>

#include "expunge/error.h"

namespace expunge {

std::size_t compressed_size(std::string_view text) {
  uLongf size = compressBound(static_cast<uLong>(text.size()));
  std::vector<Bytef> stream(size);
  const int status =
      compress(stream.data(), &size, reinterpret_cast<const Bytef*>(text.data()), static_cast<uLong>(text.size()));
  check(status == Z_OK, "zlib compresses into a buffer of compressBound() bytes");
  return size;
}

}  // namespace expunge
