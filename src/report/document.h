// A report as headings, paragraphs, tables and plots, the source of HTML and Markdown.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace expunge {

// Every string is plain text from any source; the renderers escape it.

struct Heading {
  int level;  ///< 2: a section; 3: a part of a section
  std::string text;
};

struct Paragraph {
  enum class Kind { plain, note };  ///< a note is highlighted: something is missing or unusual
  std::string text;
  Kind kind = Kind::plain;
};

struct Table {
  std::vector<std::string> head;  ///< empty: the first column names the rows
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> marked = {};  ///< rows to highlight; empty: none
};

/// Text that is shown unchanged, folded under a title if possible.
struct Listing {
  std::string title, text;
};

struct PlotImage {
  std::string name;  ///< letters, digits and '-': name of the file, and prefix of the ids in the SVG
  std::string svg;   ///< from draw(), without prolog and namespace
  std::string caption;
};

/// Plots side by side, if there is room.
struct Gallery {
  std::vector<PlotImage> plots;
};

using Block = std::variant<Heading, Paragraph, Table, Listing, Gallery>;

struct Document {
  std::string title;
  std::vector<Block> blocks;
};

/// One page that needs no other file: style sheet and plots are inside.
std::string render_html(const Document& document);
/// GitHub's Markdown; plots are files `<plots>/<name>.svg`.
std::string render_markdown(const Document& document, const std::string& plots);

/// A table with a head for a terminal, columns padded to their widest cell. Columns beyond a width of 100 follow in a table
/// below, which repeats the first column.
std::string render_text(const Table& table);

}  // namespace expunge
