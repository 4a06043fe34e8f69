// A report as headings, paragraphs, tables and figures; what HTML and Markdown are both made from.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace expunge {

// Every string is plain text from anywhere; the renderers escape it.

struct Heading {
  int level;  ///< 2 a section, 3 a part of one
  std::string text;
};

struct Paragraph {
  enum class Kind { plain, note };  ///< a note stands out: something is missing or odd
  std::string text;
  Kind kind = Kind::plain;
};

struct Table {
  std::vector<std::string> head;  ///< empty: the first column names the row
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> marked = {};  ///< rows to stand out; empty: none
};

/// Text to be shown as it is, folded up under a title where that is possible.
struct Listing {
  std::string title, text;
};

struct PlotImage {
  std::string name;  ///< of letters, digits and '-': the file's name, and the beginning of its ids
  std::string svg;   ///< without prolog and namespace, made by draw()
  std::string caption;
};

/// Figures that stand side by side where there is room.
struct Gallery {
  std::vector<PlotImage> figures;
};

using Block = std::variant<Heading, Paragraph, Table, Listing, Gallery>;

struct Document {
  std::string title;
  std::vector<Block> blocks;
};

/// One page that needs nothing from elsewhere: style sheet and figures stand in it.
std::string render_html(const Document& document);
/// GitHub's Markdown; figures are files `<figures>/<name>.svg`.
std::string render_markdown(const Document& document, const std::string& figures);

/// A table with a head for a terminal, columns padded to their widest cell. Columns beyond a width of 100 follow in a table
/// below, which begins with the first column again.
std::string render_text(const Table& table);

}  // namespace expunge
