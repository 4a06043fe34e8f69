// Replaces characters that a page cannot hold.
#include "report/clean_text.h"

#include <string_view>

#include "core/text.h"

namespace expunge {

std::string clean_text(const std::string& text) {
  std::string clean;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t valid = valid_utf8_length(rest);
    clean += rest.substr(0, valid);
    if (valid == rest.size()) break;
    clean += "\xef\xbf\xbd";
    rest.remove_prefix(valid + 1);
  }
  for (char& c : clean)
    if ((static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t') || c == 127) c = ' ';
  return clean;
}

}  // namespace expunge
