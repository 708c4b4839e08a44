// SPDX-License-Identifier: Apache-2.0
// Values that many places say at once and nobody changes: the causes of an entry, the name and the
// ports of its slot. A copy is a pointer and a count, so a plan of a million changes costs what is
// different about each change and not a million times what is the same.
//
// Immutable: a new value is a new one. Copying and destroying is safe in any thread. An empty value
// holds no memory.
#pragma once

#include <fmt/format.h>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <compare>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knock {

/// What SharedList and SharedText have in common: eight bytes.
template <class Value>
class Shared {
 public:
  Shared() = default;
  explicit Shared(Value value) : held_(value.empty() ? nullptr : new Held(std::move(value))) {}

  const Value& get() const {
    static const Value nothing;
    return held_ ? held_->value : nothing;
  }
  operator const Value&() const { return get(); }  // NOLINT(google-explicit-constructor)
  bool empty() const { return held_ == nullptr; }
  std::size_t size() const { return get().size(); }
  /// A changed value of its own; others keep what they hold.
  template <class Change>
  void edit(Change change) {
    Value value = get();
    change(value);
    *this = Shared(std::move(value));
  }
  auto begin() const { return get().begin(); }
  auto end() const { return get().end(); }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.held_ == b.held_ || a.get() == b.get();
  }
  friend auto operator<=>(const Shared& a, const Shared& b) { return a.get() <=> b.get(); }

 private:
  struct Held : boost::intrusive_ref_counter<Held> {
    explicit Held(Value v) : value(std::move(v)) {}
    const Value value;
  };
  boost::intrusive_ptr<const Held> held_;
};

/// Reads like a `const std::vector`.
template <class Element>
class SharedList : public Shared<std::vector<Element>> {
  using List = std::vector<Element>;

 public:
  using value_type = Element;
  using const_iterator = typename List::const_iterator;
  using iterator = const_iterator;
  SharedList() = default;
  SharedList(List list) : Shared<List>(std::move(list)) {}  // NOLINT(google-explicit-constructor)
  SharedList(std::initializer_list<Element> list) : SharedList(List(list)) {}

  const Element& operator[](std::size_t i) const { return this->get()[i]; }
  const Element& front() const { return this->get().front(); }
  const Element& back() const { return this->get().back(); }

  const Element* data() const { return this->get().data(); }

  friend bool operator==(const SharedList& a, const SharedList& b) {
    return static_cast<const Shared<List>&>(a) == static_cast<const Shared<List>&>(b);
  }
  friend bool operator==(const SharedList& a, const List& b) { return a.get() == b; }
};

/// Reads like a `const std::string`.
class SharedText : public Shared<std::string> {
 public:
  SharedText() = default;
  SharedText(std::string text) : Shared(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  SharedText(const char* text)
      : SharedText(std::string(text)) {}  // NOLINT(google-explicit-constructor)

  friend bool operator==(const SharedText& a, const SharedText& b) {
    return static_cast<const Shared&>(a) == static_cast<const Shared&>(b);
  }
  operator std::string_view() const { return get(); }  // NOLINT(google-explicit-constructor)

  template <std::convertible_to<std::string_view> Text>
    requires(!std::same_as<Text, SharedText>)
  friend bool operator==(const SharedText& a, const Text& b) {
    return a.get() == std::string_view(b);
  }
  friend std::ostream& operator<<(std::ostream& out, const SharedText& text) {
    return out << text.get();
  }
};

}  // namespace knock

template <>
struct fmt::formatter<knock::SharedText> : fmt::formatter<std::string_view> {
  auto format(const knock::SharedText& text, format_context& out) const {
    return fmt::formatter<std::string_view>::format(text.get(), out);
  }
};
