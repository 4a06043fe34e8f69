// Recognises files whose content is not what their name says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace expunge {

/// For the first bytes of a file that this program cannot read (a Git LFS pointer, an HTML page, an archive, UTF-16): what it
/// is, and what to do. Empty for any other file. Examines 512 bytes.
std::string mistaken_content(std::string_view begin);
/// The same for a file that should be UTF-8 text: text may begin with the magic of another kind, but has no zero bytes.
std::string mistaken_text(std::string_view begin);

/// Throws Error(bad_input) with the kind of an empty or mistaken file. For readers that failed to parse a file. Returns if
/// the file cannot be read; the reader reports that.
void refuse_mistaken(const std::filesystem::path& path);

/// Reads a whole text file. Throws Error(bad_input) as read_file() does, for an empty file, and for mistaken_text().
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace expunge
