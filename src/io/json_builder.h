// Builds values from the events of the JSON library's parser, in time and memory bounded by the text's size.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "expunge/error.h"
#include "io/json.h"

namespace expunge {

/// Replaces the library's own builder, which searches an object's members again after each nested object. For ordered objects
/// it also searches all keys for each key.
template <typename Json>
class JsonBuilder : public nlohmann::json_sax<Json> {
 public:
  JsonBuilder(std::string_view text, const std::string& where, const JsonRules& rules)
      : text_(text), where_(where), rules_(rules) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(typename Json::number_integer_t value) override { return put(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) override { return put(value); }
  bool number_float(typename Json::number_float_t value, const std::string&) override { return put(value); }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(typename Json::binary_t&) override { return false; }  // not in JSON
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& name) override {
    if (skipping_) return true;
    skipping_ = open_.size() == 1 && !rules_.wanted.empty() && std::ranges::find(rules_.wanted, name) == rules_.wanted.end();
    if (!skipping_) place_ = member(name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    wrong(fmt::format("not valid JSON: {}", describe_json_error(error, text_)));
    return false;
  }

 private:
  [[noreturn]] void wrong(const std::string& what) const { fail(ExitCode::bad_input, fmt::format("{}: {}", where_, what)); }

  static constexpr bool kOrdered = !std::is_same_v<Json, nlohmann::json>;

  /// Adds a member to the innermost object and returns its value.
  Json* member(std::string& name) {
    auto& object = *open_.back()->template get_ptr<typename Json::object_t*>();
    Json* value = nullptr;
    bool added = false;
    if constexpr (kOrdered) {
      const auto [place, is_new] = places_.back().try_emplace(name, object.size());
      added = is_new;
      if (added) object.emplace_back(name, nullptr);
      value = &object.data()[place->second].second;
    } else {
      const auto [place, is_new] = object.try_emplace(name, nullptr);
      added = is_new;
      value = &place->second;
    }
    if (!added) wrong(fmt::format("has {} twice in one object; leave one out", json_excerpt(name)));
    return value;
  }

  bool put(Json value) {
    if (++values_ > kJsonValues) wrong(fmt::format("holds more than {} values", kJsonValues));
    if (skipping_) {
      skipping_ = depth_ > 1;
      return true;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      place_ = &root_;
    } else if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      place_ = &open_.back()->back();
    } else {
      *place_ = std::move(value);
    }
    return true;
  }

  bool open(Json value) {
    // Copying and printing a value recurse: a thousand brackets would overflow a thread's stack.
    if (depth_ >= rules_.deepest) wrong(fmt::format("nested more than {} deep", rules_.deepest));
    const bool skipped = skipping_;
    put(std::move(value));
    skipping_ = skipped;
    ++depth_;
    if (skipped) return true;
    open_.push_back(place_);
    if constexpr (kOrdered) places_.emplace_back();
    return true;
  }

  bool close() {
    --depth_;
    if (skipping_) {
      skipping_ = depth_ > 1;
      return true;
    }
    open_.pop_back();
    if constexpr (kOrdered) places_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& where_;
  const JsonRules& rules_;
  Json root_;
  Json* place_ = &root_;                                    // the last value, or the next value of an object
  std::vector<Json*> open_;                                 // open objects and lists, outermost first
  std::vector<std::map<std::string, std::size_t>> places_;  // member positions of each open object, if order is kept
  std::size_t values_ = 0;
  int depth_ = 0;
  bool skipping_ = false;  // inside an unwanted member
};

}  // namespace expunge
