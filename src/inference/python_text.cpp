// White space and the case of letters by the rules of Unicode that Python follows.
#include "inference/python_text.h"

#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <array>

#include "expunge/error.h"

namespace expunge {
namespace {

constexpr std::array<std::string_view, 29> kSpaces = {
    " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",   "\x1f",
    "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
    "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

/// Letters whose title case is several characters, and these characters (Unicode's SpecialCasing.txt). The C library maps a
/// character to only one character.
constexpr std::u32string_view kLongLetters =
    U"\u00df\u0149\u01f0\u0390\u03b0\u0587\u1e96\u1e97\u1e98\u1e99\u1e9a\u1f50"
    U"\u1f52\u1f54\u1f56\u1fb2\u1fb4\u1fb6\u1fb7\u1fc2\u1fc4\u1fc6\u1fc7\u1fd2"
    U"\u1fd3\u1fd6\u1fd7\u1fe2\u1fe3\u1fe4\u1fe6\u1fe7\u1ff2\u1ff4\u1ff6\u1ff7"
    U"\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06\ufb13\ufb14\ufb15\ufb16\ufb17";
constexpr std::array<std::string_view, kLongLetters.size()> kLongTitles = {"Ss",
                                                                           "\u02bcN",
                                                                           "J\u030c",
                                                                           "\u0399\u0308\u0301",
                                                                           "\u03a5\u0308\u0301",
                                                                           "\u0535\u0582",
                                                                           "H\u0331",
                                                                           "T\u0308",
                                                                           "W\u030a",
                                                                           "Y\u030a",
                                                                           "A\u02be",
                                                                           "\u03a5\u0313",
                                                                           "\u03a5\u0313\u0300",
                                                                           "\u03a5\u0313\u0301",
                                                                           "\u03a5\u0313\u0342",
                                                                           "\u1fba\u0345",
                                                                           "\u0386\u0345",
                                                                           "\u0391\u0342",
                                                                           "\u0391\u0342\u0345",
                                                                           "\u1fca\u0345",
                                                                           "\u0389\u0345",
                                                                           "\u0397\u0342",
                                                                           "\u0397\u0342\u0345",
                                                                           "\u0399\u0308\u0300",
                                                                           "\u0399\u0308\u0301",
                                                                           "\u0399\u0342",
                                                                           "\u0399\u0308\u0342",
                                                                           "\u03a5\u0308\u0300",
                                                                           "\u03a5\u0308\u0301",
                                                                           "\u03a1\u0313",
                                                                           "\u03a5\u0342",
                                                                           "\u03a5\u0308\u0342",
                                                                           "\u1ffa\u0345",
                                                                           "\u038f\u0345",
                                                                           "\u03a9\u0342",
                                                                           "\u03a9\u0342\u0345",
                                                                           "Ff",
                                                                           "Fi",
                                                                           "Fl",
                                                                           "Ffi",
                                                                           "Ffl",
                                                                           "St",
                                                                           "St",
                                                                           "\u0544\u0576",
                                                                           "\u0544\u0565",
                                                                           "\u0544\u056b",
                                                                           "\u054e\u0576",
                                                                           "\u0544\u056d"};

constexpr char32_t kDottedI = U'\u0130', kSigma = U'\u03a3', kFinalSigma = U'\u03c2';

std::u32string characters(std::string_view text) {
  std::u32string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      result += byte;
    else if (byte >= 0xf0)
      result += byte & 0x07u;
    else if (byte >= 0xe0)
      result += byte & 0x0fu;
    else if (byte >= 0xc0)
      result += byte & 0x1fu;
    else if (!result.empty())
      result.back() = result.back() << 6 | (byte & 0x3fu);
  }
  return result;
}

void append(std::string& text, char32_t c) {
  const auto byte = [&](char32_t value) { text += static_cast<char>(value); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) {
    byte(0xc0 | c >> 6);
  } else {
    if (c < 0x10000) {
      byte(0xe0 | c >> 12);
    } else {
      byte(0xf0 | c >> 18);
      byte(0x80 | (c >> 12 & 0x3f));
    }
    byte(0x80 | (c >> 6 & 0x3f));
  }
  byte(0x80 | (c & 0x3f));
}

/// The C library's mappings of single characters, independent of the user's language.
class Letters {
 public:
  Letters() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ == nullptr)
      fail(ExitCode::usage,
           "the locale C.UTF-8 is missing (locale -a), but capital letters in prompts need it; install it "
           "(Debian: libc-bin)");
    title_ = wctrans_l("totitle", locale_);
  }
  ~Letters() { freelocale(locale_); }
  Letters(const Letters&) = delete;
  Letters& operator=(const Letters&) = delete;

  char32_t small(char32_t c) const { return static_cast<char32_t>(towlower_l(static_cast<wint_t>(c), locale_)); }
  char32_t title(char32_t c) const { return static_cast<char32_t>(towctrans_l(static_cast<wint_t>(c), title_, locale_)); }
  bool is_letter(char32_t c) const {
    return iswupper_l(static_cast<wint_t>(c), locale_) != 0 || iswlower_l(static_cast<wint_t>(c), locale_) != 0;
  }

 private:
  locale_t locale_;
  wctrans_t title_;
};

/// True if the capital sigma at `place` ends a word, where its small letter has another form.
bool ends_word(const Letters& letters, const std::u32string& text, std::size_t place) {
  // Marks and apostrophes belong to words, so skip them.
  const auto counts = [](char32_t c) {
    return !(c >= U'\u0300' && c <= U'\u036f') &&
           std::u32string_view(U"'.:^`\u00a8\u00ad\u00b7\u2019").find(c) == std::u32string::npos;
  };
  const auto before = std::find_if(text.rend() - static_cast<std::ptrdiff_t>(place), text.rend(), counts);
  const auto behind = std::find_if(text.begin() + static_cast<std::ptrdiff_t>(place) + 1, text.end(), counts);
  return before != text.rend() && letters.is_letter(*before) && (behind == text.end() || !letters.is_letter(*behind));
}

}  // namespace

std::string_view right_stripped(std::string_view text) {
  const auto ends_text = [&](std::string_view space) { return text.ends_with(space); };
  for (auto it = kSpaces.begin(); (it = std::ranges::find_if(kSpaces, ends_text)) != kSpaces.end();)
    text.remove_suffix(it->size());
  return text;
}

std::string_view stripped(std::string_view text) {
  const auto begins_text = [&](std::string_view space) { return text.starts_with(space); };
  for (auto it = kSpaces.begin(); (it = std::ranges::find_if(kSpaces, begins_text)) != kSpaces.end();)
    text.remove_prefix(it->size());
  return right_stripped(text);
}

std::string capitalized(std::string_view text) {
  const Letters letters;
  const std::u32string from = characters(text);
  std::string result;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const char32_t c = from[i];
    const std::size_t longer = kLongLetters.find(c);
    if (i == 0 && longer != std::u32string_view::npos)
      result += kLongTitles[longer];
    else if (i == 0)
      append(result, letters.title(c));
    else if (c == kDottedI)
      result += "i\u0307";
    else if (c == kSigma && ends_word(letters, from, i))
      append(result, kFinalSigma);
    else
      append(result, letters.small(c));
  }
  return result;
}

}  // namespace expunge
