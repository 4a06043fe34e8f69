// Files that are not what their name says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace expunge {

/// What a file that begins so is, and what to do, where it is none of what this program reads: a Git LFS pointer, an HTML page,
/// an archive, UTF-16. Empty for anything else. The first 512 bytes are looked at.
std::string mistaken_content(std::string_view begin);
/// The same of a file that should be UTF-8 text, which may begin with the letters of another kind, and holds no zero bytes.
std::string mistaken_text(std::string_view begin);

/// Throws Error(bad_input) with what the file is, where it is empty or mistaken_content() knows it. For readers that could not
/// make sense of a file; one that cannot be read is left to them.
void refuse_mistaken(const std::filesystem::path& path);

/// The whole of a file of text. Throws Error(bad_input) as read_file() does, where it is empty, and with what mistaken_text()
/// says.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace expunge
