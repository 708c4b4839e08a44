// SPDX-License-Identifier: Apache-2.0
// Writing and reading a message from one description of its fields, so that the two cannot drift
// apart. Private to the codecs beside it. A codec gives, for each message,
//
//   template <class Io> void fields(Io& io, Part<Io, Message>& m) { io.number(m.request);
//   io.text(m.user, kLongestUser); }
//
// and the message's place in its variant, counted from the codec's first kind, is its kind on the
// wire.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/result.h"
#include "schemas/role/wire.h"

namespace knock::role {

class Put {
 public:
  static constexpr bool kReads = false;
  explicit Put(wire::Writer& out) : out_(out) {}
  void number(std::uint64_t v) { out_.u64(v); }
  void flag(bool v) { out_.boolean(v); }
  void instant(Instant v) { out_.instant(v); }
  template <class T, class Each>
  void maybe(const std::optional<T>& v, Each each) {
    out_.boolean(v.has_value());
    if (v) each(*this, *v);
  }
  void address(const IpAddress& v) { out_.address(v); }
  void text(const std::string& v, std::size_t) { out_.text(v); }
  /// Text for people's eyes: cut at the limit rather than refused at the other end.
  void shown(const std::string& v, std::size_t longest) {
    out_.text(std::string_view(v).substr(0, longest));
  }
  template <class Tag>
  void name(const Name<Tag>& v, std::size_t) {
    out_.text(v.value);
  }
  void port(const PortRange& v) {
    out_.u8(std::uint8_t(v.protocol));
    out_.u16(v.first);
    out_.u16(v.last);
  }
  template <class T, class Each>
  void map(const std::map<std::string, T>& v, std::uint32_t, std::size_t longest, Each each) {
    out_.u32(std::uint32_t(v.size()));
    for (const auto& [key, value] : v) {
      text(key, longest);
      each(*this, value);
    }
  }
  template <class T, class Each>
  void list(const std::vector<T>& v, std::uint32_t, std::size_t, Each each) {
    out_.u32(std::uint32_t(v.size()));
    for (const auto& item : v) each(*this, item);
  }

 private:
  wire::Writer& out_;
};

class Get {
 public:
  static constexpr bool kReads = true;
  explicit Get(wire::Reader& in) : in_(in) {}
  void number(std::uint64_t& v) { v = in_.u64(); }
  void flag(bool& v) { v = in_.boolean(); }
  void instant(Instant& v) { v = in_.instant(); }
  template <class T, class Each>
  void maybe(std::optional<T>& v, Each each) {
    v.reset();
    if (in_.boolean()) each(*this, v.emplace());
  }
  void address(IpAddress& v) { v = in_.address(); }
  void text(std::string& v, std::size_t longest) { v = in_.text(longest); }
  void shown(std::string& v, std::size_t longest) { v = in_.text(longest); }
  /// A name is never empty.
  template <class Tag>
  void name(Name<Tag>& v, std::size_t longest) {
    v.value = in_.text(longest);
    if (v.value.empty()) in_.spoil();
  }
  void port(PortRange& v) {
    auto protocol = in_.u8();
    v = {Protocol(protocol), in_.u16(), in_.u16()};
    bool known = protocol == std::uint8_t(Protocol::tcp) || protocol == std::uint8_t(Protocol::udp);
    if (!known || v.first == 0 || v.last < v.first) in_.spoil();
  }
  /// Keys in ascending order, each once.
  template <class T, class Each>
  void map(std::map<std::string, T>& v, std::uint32_t most, std::size_t longest, Each each) {
    v.clear();
    for (auto left = in_.count(most, 4); left > 0; --left) {
      auto key = in_.text(longest);
      demand(v.empty() || v.rbegin()->first < key);
      each(*this, v[std::move(key)]);
    }
  }
  /// `smallest`: bytes of the smallest element, so that a small frame cannot ask for a large list.
  template <class T, class Each>
  void list(std::vector<T>& v, std::uint32_t most, std::size_t smallest, Each each) {
    v.resize(in_.count(most, smallest));
    for (auto& item : v) each(*this, item);
  }
  void demand(bool condition) {
    if (!condition) in_.spoil();
  }

 private:
  wire::Reader& in_;
};

template <class Io, class Message>
using Part = std::conditional_t<Io::kReads, Message, const Message>;

template <class Variant, class Fields>
std::string encode_variant(const Variant& message, std::uint8_t first_kind, Fields fields) {
  wire::Writer out(std::uint8_t(first_kind + message.index()));
  Put put(out);
  std::visit([&](const auto& m) { fields(put, m); }, message);
  return std::move(out).finish();
}

/// `what` names the reader in the error: "message from front".
template <class Variant, class Fields>
Result<Variant> decode_variant(std::string_view body, std::uint8_t first_kind,
                               std::string_view what, Fields fields) {
  wire::Reader in(body);
  Get get(in);
  Variant out;
  auto read_as = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
    if (in.kind() != first_kind + I) return false;
    fields(get, out.template emplace<I>());
    return true;
  };
  bool known = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (read_as(std::integral_constant<std::size_t, I>()) || ...);
  }(std::make_index_sequence<std::variant_size_v<Variant>>());
  if (!known || !in.ok())
    return fail(ErrorKind::invalid, std::string(what) + ": " +
                                        (known ? "out of shape or bounds" : "unknown kind") +
                                        "; both ends must be the same build");
  return out;
}

}  // namespace knock::role
