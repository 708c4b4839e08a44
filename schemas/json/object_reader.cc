// SPDX-License-Identifier: Apache-2.0
#include "schemas/json/object_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/text.h"

namespace knock {
namespace {

namespace json = boost::json;

std::optional<std::int64_t> as_integer(const json::value& value) {
  if (auto* number = value.if_int64()) return *number;
  return std::nullopt;
}

std::string shortened(std::string_view text) {
  return printable(text.size() > 80 ? std::string(text.substr(0, 80)) + "…" : std::string(text));
}

}  // namespace

ObjectReader::ObjectReader(const json::value& value, std::string where)
    : object_(value.if_object()), where_(std::move(where)) {
  if (object_ == nullptr) refuse("type", "", "must be a JSON object");
}

bool ObjectReader::has(std::string_view key) const {
  return object_ != nullptr && object_->contains(key);
}

const json::value* ObjectReader::member(std::string_view key) {
  if (object_ == nullptr) return nullptr;
  asked_.push_back(key);
  return object_->if_contains(key);
}

const json::value* ObjectReader::required(std::string_view key) {
  auto* found = member(key);
  if (found == nullptr) refuse("missing", key, "is missing");
  return found;
}

std::string ObjectReader::text(std::string_view key) {
  auto* found = required(key);
  if (found == nullptr) return {};
  if (auto* string = found->if_string()) return {string->data(), string->size()};
  refuse("type", key, "must be a string");
  return {};
}

std::string ObjectReader::text_or(std::string_view key, std::string otherwise) {
  return has(key) ? text(key) : (member(key), std::move(otherwise));
}

std::int64_t ObjectReader::integer(std::string_view key, std::int64_t first, std::int64_t last) {
  auto* found = required(key);
  if (found == nullptr) return 0;
  auto number = as_integer(*found);
  if (!number) {
    refuse("type", key, "must be an integer");
    return 0;
  }
  if (*number < first || *number > last) {
    refuse("value", key, fmt::format("is {}, which is not within {} … {}", *number, first, last));
    return 0;
  }
  return *number;
}

std::uint64_t ObjectReader::number(std::string_view key) {
  auto* found = required(key);
  if (found == nullptr) return 0;
  if (auto* big = found->if_uint64()) return *big;
  auto small = as_integer(*found);
  if (small && *small >= 0) return std::uint64_t(*small);
  refuse("type", key, "must be an integer from 0 to 2^64-1");
  return 0;
}

bool ObjectReader::flag(std::string_view key) {
  auto* found = required(key);
  if (found == nullptr) return false;
  if (auto* flag = found->if_bool()) return *flag;
  refuse("type", key, "must be true or false");
  return false;
}

Instant ObjectReader::time(std::string_view key) {
  return parsed(key, "an RFC 3339 time like 2026-11-21T10:04:11Z",
                [](std::string_view text) -> std::optional<Instant> {
                  if (text.size() < 20) return std::nullopt;  // parse_instant takes a date alone
                  return parse_instant(text);
                });
}

std::optional<Instant> ObjectReader::maybe_time(std::string_view key) {
  if (has(key)) return time(key);
  member(key);
  return std::nullopt;
}

std::vector<const json::value*> ObjectReader::list(std::string_view key) {
  std::vector<const json::value*> out;
  auto* found = required(key);
  if (found == nullptr) return out;
  auto* array = found->if_array();
  if (array == nullptr) {
    refuse("type", key, "must be a list");
    return out;
  }
  for (const auto& element : *array) out.push_back(&element);
  return out;
}

std::vector<std::string> ObjectReader::texts(std::string_view key) {
  std::vector<std::string> out;
  for (auto* element : list(key)) {
    auto* string = element->if_string();
    if (string == nullptr) {
      refuse("type", key, "must hold strings only");
      return {};
    }
    out.emplace_back(string->data(), string->size());
  }
  return out;
}

void ObjectReader::refuse(std::string_view reason, std::string_view key,
                          std::string_view sentence) {
  if (error_) return;
  auto subject = key.empty() ? std::string() : fmt::format("\"{}\" ", printable(key));
  error_ = Error{ErrorKind::invalid,
                 fmt::format("json.{}: {}: {}{}", reason, where_, subject, sentence),
                 {},
                 std::nullopt};
}

void ObjectReader::adopt(Error error) {
  if (!error_) error_ = std::move(error);
}

std::string ObjectReader::not_a(std::string_view written, std::string_view what) {
  return fmt::format("is \"{}\", which is not {}", shortened(written), what);
}

Status ObjectReader::finish(Others others) {
  if (!error_ && others == Others::refused)
    for (const auto& item : *object_)
      if (std::find(asked_.begin(), asked_.end(), std::string_view(item.key())) == asked_.end()) {
        refuse("unknown", item.key(), "is not a member this version knows; remove or correct it");
        break;
      }
  if (error_) return fail(*error_);
  return {};
}

}  // namespace knock
