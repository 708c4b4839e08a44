// SPDX-License-Identifier: Apache-2.0
// Reading the controller's answers for printing: a member that is absent reads as empty, so that an
// older controller's answer still prints. Text is made safe for the terminal here.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/text.h"
#include "cli/command.h"

namespace knock::cli {

inline std::string text(const boost::json::value& value, std::string_view name) {
  auto* object = value.if_object();
  auto* member = object != nullptr ? object->if_contains(name) : nullptr;
  if (member == nullptr || member->is_null()) return "";
  if (member->is_string()) return printable(std::string_view(member->as_string()));
  return boost::json::serialize(*member);
}

inline bool truth(const boost::json::value& value, std::string_view name) {
  auto* object = value.if_object();
  auto* member = object != nullptr ? object->if_contains(name) : nullptr;
  return member != nullptr && member->is_bool() && member->as_bool();
}

inline std::int64_t number(const boost::json::value& value, std::string_view name) {
  auto* object = value.if_object();
  auto* member = object != nullptr ? object->if_contains(name) : nullptr;
  return member != nullptr && member->is_number() ? member->to_number<std::int64_t>() : 0;
}

const boost::json::array& list(boost::json::value&& value,
                               std::string_view name) = delete;  // would dangle
inline const boost::json::array& list(const boost::json::value& value, std::string_view name) {
  static const boost::json::array nothing;
  auto* object = value.if_object();
  auto* member = object != nullptr ? object->if_contains(name) : nullptr;
  return member != nullptr && member->is_array() ? member->as_array() : nothing;
}

const boost::json::value& member(boost::json::value&& value, std::string_view name) = delete;
inline const boost::json::value& member(const boost::json::value& value, std::string_view name) {
  static const boost::json::value nothing;
  auto* object = value.if_object();
  auto* found = object != nullptr ? object->if_contains(name) : nullptr;
  return found != nullptr ? *found : nothing;
}

/// As it came, for --json; or in words.
template <class InWords>
void print_answer(const Global& global, const boost::json::value& answer, InWords in_words) {
  if (global.json)
    print(boost::json::serialize(answer) + "\n");
  else
    in_words(answer);
}

}  // namespace knock::cli
