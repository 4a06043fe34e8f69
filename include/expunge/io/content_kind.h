// Files that are not what their name says.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace expunge {

/// What a file that begins so is, and what to do, where it is none of what this program reads: a Git LFS pointer, an HTML page,
/// an archive, UTF-16. Empty for anything else.
std::string mistaken_content(std::string_view begin);
/// Of a text of lines alone, which may begin with anything that is UTF-8: a page or a pointer.
std::string mistaken_text(std::string_view begin);

/// Throws Error(bad_input) with what the file is, where mistaken_content() knows it. For readers that could not make sense of a
/// file; one that cannot be read is left to them.
void refuse_mistaken(const std::filesystem::path& path);

}  // namespace expunge
