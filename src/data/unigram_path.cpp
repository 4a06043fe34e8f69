// Viterbi search over bytes, with the rounding of sentencepiece.
#include "data/unigram_path.h"

#include <algorithm>
#include <cfloat>
#include <tuple>
#include <utility>

namespace expunge {
namespace {

constexpr float kUnknownPenalty = 10;

}  // namespace

UnigramPath::UnigramPath(const PieceModel& model) {
  float least = FLT_MAX, most = FLT_MIN;  // like the library, whose `most` stays above 0
  for (const PieceModel::Piece& piece : model.pieces) {
    if (piece.type != PieceModel::Type::normal) continue;
    least = std::min(least, piece.score);
    most = std::max(most, piece.score);
  }
  unknown_score_ = least - kUnknownPenalty;
  for (std::size_t i = 0; i < model.pieces.size(); ++i) {
    const auto& [text, score, type] = model.pieces[i];
    if (type == PieceModel::Type::unknown) unknown_id_ = static_cast<int>(i);
    if (type != PieceModel::Type::normal && type != PieceModel::Type::user_defined) continue;
    const bool defined = type == PieceModel::Type::user_defined;
    entries_.push_back({text, static_cast<int>(i), defined ? static_cast<float>(text.size()) * most - 0.1 : score});
  }
  std::ranges::sort(entries_, {}, &Entry::text);
  for (const Entry& entry : entries_) ++by_byte_[static_cast<unsigned char>(entry.text[0]) + 1];
  for (std::size_t byte = 0; byte < 256; ++byte) by_byte_[byte + 1] += by_byte_[byte];
}

void UnigramPath::extend(std::string_view text, std::size_t begin, std::vector<Node>& ends) const {
  const float before = ends[begin].sum;
  const auto offer = [&](std::size_t end, int id, auto sum) {
    Node& node = ends[end];
    if (node.id >= 0 && !(sum > node.sum)) return;
    node = {id, static_cast<float>(sum), begin};
  };
  const std::size_t character = character_size(text.substr(begin));
  const auto first = static_cast<unsigned char>(text[begin]);
  auto low = entries_.begin() + static_cast<std::ptrdiff_t>(by_byte_[first]);
  auto high = entries_.begin() + static_cast<std::ptrdiff_t>(by_byte_[first + 1u]);
  bool is_piece = false;  // the character alone
  for (std::size_t size = 1; low != high; ++size) {
    if (low->text.size() == size) {
      offer(begin + size, low->id, low->score + before);
      is_piece = is_piece || size == character;
      ++low;
    }
    if (begin + size == text.size()) break;
    const char next = text[begin + size];
    const auto byte = [&](const Entry& entry) { return static_cast<unsigned char>(entry.text[size]); };
    std::tie(low, high) = std::pair(std::ranges::lower_bound(low, high, static_cast<unsigned char>(next), {}, byte),
                                    std::ranges::upper_bound(low, high, static_cast<unsigned char>(next), {}, byte));
  }
  if (!is_piece) offer(begin + character, unknown_id_, unknown_score_ + before);
}

std::vector<UnigramPath::Step> UnigramPath::find(std::string_view text, float& sum) const {
  std::vector<Node> ends(text.size() + 1);
  ends[0].sum = sum;
  for (std::size_t begin = 0; begin < text.size(); begin += character_size(text.substr(begin))) extend(text, begin, ends);
  sum = ends.back().sum;
  std::vector<Step> steps;
  for (std::size_t end = text.size(); end > 0; end = ends[end].begin)
    steps.push_back({text.substr(ends[end].begin, end - ends[end].begin), ends[end].id});
  std::ranges::reverse(steps);
  return steps;
}

}  // namespace expunge
