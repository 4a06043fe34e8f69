// Encodes a text in stretches, each with the character before it as context.
#include "data/piece_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "expunge/error.h"

namespace expunge {
namespace {

constexpr std::size_t kMostPieces = std::size_t{1} << 22;

std::string_view last_character(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0u) == 0x80u) --begin;
  return text.substr(begin);
}

/// The byte of a piece like <0x0A>.
char byte_of(std::string_view piece) {
  unsigned value = 0;
  std::from_chars(piece.data() + 3, piece.data() + piece.size(), value, 16);
  return static_cast<char>(value);
}

}  // namespace

PieceEncoder::PieceEncoder(std::string bytes, const std::string& file)
    : bytes_(std::move(bytes)), spec_(read_piece_model(bytes_)) {
  if (spec_.holds_zero_byte) fail(ExitCode::bad_input, file + ": a piece holds a zero byte; the file is damaged");
  if (spec_.pieces.size() > kMostPieces)
    fail(ExitCode::bad_input, fmt::format("{}: expected at most {} pieces, found {}", file, kMostPieces, spec_.pieces.size()));
  if (const auto status = model_.LoadFromSerializedProto(bytes_); !status.ok())
    fail(ExitCode::bad_input, fmt::format("{} is not a sentencepiece model: {}", file, status.message()));
}

void PieceEncoder::allow_cuts(std::size_t longest_name, std::size_t stretch) {
  longest_name_ = longest_name;
  stretch_ = stretch;
  for (const PieceModel::Piece& piece : spec_.pieces) longest_name_ = std::max(longest_name_, piece.text.size());
  cuts_.emplace(spec_, longest_name_);
  if (spec_.kind == PieceModel::Kind::unigram) path_.emplace(spec_);
}

std::unique_lock<std::mutex> PieceEncoder::wait_with_long_text(std::string_view text) const {
  std::unique_lock alone(long_text_, std::defer_lock);
  if (text.size() > 4 * kStretch) alone.lock();
  return alone;
}

template <typename T>
std::vector<T> PieceEncoder::run(std::string_view text) const {
  const auto alone = wait_with_long_text(text);
  std::vector<T> result;
  if (const auto status = model_.Encode(text, &result); !status.ok())
    fail(ExitCode::internal, fmt::format("sentencepiece cannot encode a text: {}", status.ToString()));
  return result;
}

std::size_t PieceEncoder::end_of_stretch(std::string_view text, std::size_t begin, const std::string& where) const {
  if (text.size() - begin <= stretch_) return text.size();
  const std::size_t until = std::min(text.size(), begin + kLongestStretch);
  if (const auto cut = cuts_->find(text, begin + stretch_, until)) return *cut;
  if (until == text.size()) return until;
  fail(ExitCode::bad_input,
       fmt::format("{}: the tokenizer's model allows no cut for more than {} bytes, from '{}' on; break the "
                   "text up, for example by line breaks, or remove the document",
                   where, kLongestStretch, excerpt(text.substr(begin))));
}

void PieceEncoder::encode(std::string_view before, std::size_t skip, std::string_view text, const std::string& where,
                          const Take& take) const {
  if (path_ && text.size() > stretch_) return encode_along_path(before, skip, text, where, take);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = end_of_stretch(text, begin, where);
    encode_stretch(std::string(before).append(text.substr(begin, end - begin)), skip, take);
    begin = end;
    if (begin == text.size()) break;
    before = last_character(text.substr(0, begin));
    skip = count(before);
  }
}

void PieceEncoder::encode_stretch(const std::string& text, std::size_t skip, const Take& take) const {
  const std::vector<int> ids = run<int>(text);
  std::vector<std::string> names;
  if (std::ranges::find(ids, model_.unk_id()) != ids.end()) names = run<std::string>(text);
  static const std::string kKnown;
  if (skip > ids.size()) skip = 0;
  for (std::size_t i = skip; i < ids.size(); ++i) take(ids[i], ids[i] == model_.unk_id() ? names[i] : kKnown);
}

/// The model's normalised text, before the search for pieces.
std::string PieceEncoder::normalised(std::string_view text) const {
  const auto alone = wait_with_long_text(text);
  std::string result;
  const auto encoded = model_.EncodeAsImmutableProto(text);
  for (const auto& piece : encoded.pieces()) {
    if (model_.IsByte(static_cast<int>(piece.id())))
      result += byte_of(piece.piece());
    else
      result += piece.piece();
  }
  return result;
}

void PieceEncoder::encode_along_path(std::string_view before, std::size_t skip, std::string_view text, const std::string& where,
                                     const Take& take) const {
  float sum = 0;
  std::string unknown;  // text of a run of unknown pieces, which form one; longer than any name, the rest is dropped
  const auto give = [&](int id, const std::string& unknown_text) {
    if (skip > 0)
      --skip;
    else
      take(id, unknown_text);
  };
  const auto end_run = [&] {
    if (!unknown.empty()) give(model_.unk_id(), unknown);
    unknown.clear();
  };
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = end_of_stretch(text, begin, where);
    const std::string whole = normalised(std::string(before).append(text.substr(begin, end - begin)));
    const std::size_t known = begin == 0 ? 0 : normalised(before).size();
    for (const auto& [piece, id] : path_->find(std::string_view(whole).substr(known), sum)) {
      if (id != model_.unk_id()) {
        end_run();
        give(id, unknown);
      } else if (spec_.byte_fallback) {
        for (const char byte : piece)
          give(model_.PieceToId(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte))), unknown);
      } else if (unknown.size() <= longest_name_) {
        unknown += piece;
      }
    }
    begin = end;
    before = last_character(text.substr(0, begin));
  }
  end_run();
}

}  // namespace expunge
