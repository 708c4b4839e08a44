// SPDX-License-Identifier: Apache-2.0
// HTML that escapes by default: a template is a literal known to the compiler, with one {} for each
// argument; text goes in escaped, and only what is Html already goes in as it is. There is no other
// way to make Html, so whoever forgets to escape does not compile. The number of holes is checked
// at compile time too.
//
//   html(R"(<p title="{}">{}</p>)", name, html("<b>{}</b>", 3))
//
// Attribute values must stand in double quotes. Values must not be put into <script>, <style> or
// URLs' schemes.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/text.h"

namespace knock::server {

class Html {
 public:
  Html() = default;
  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  Html& operator+=(const Html& more) {
    text_ += more.text_;
    return *this;
  }

 private:
  template <class... Args>
  friend struct HtmlBuilder;
  std::string text_;
};

template <class... Args>
struct HtmlTemplate {
  std::string_view text;
  consteval HtmlTemplate(const char* literal) : text(literal) {  // NOLINT: implicit on purpose
    std::size_t holes = 0;
    for (std::size_t at = text.find("{}"); at != std::string_view::npos;
         at = text.find("{}", at + 2))
      ++holes;
    if (holes != sizeof...(Args)) throw "as many {} as arguments";
  }
};

inline std::string html_piece(const Html& piece) { return piece.text(); }
inline std::string html_piece(std::string_view text) { return html_escape(text); }
template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>)
std::string html_piece(T number) {
  return std::to_string(number);
}

template <class... Args>
struct HtmlBuilder {
  static Html build(std::string_view rest, const Args&... args) {
    Html out;
    [[maybe_unused]] auto put = [&](const std::string& piece) {
      auto hole = rest.find("{}");
      out.text_ += rest.substr(0, hole);
      out.text_ += piece;
      rest.remove_prefix(hole + 2);
    };
    (put(html_piece(args)), ...);
    out.text_ += rest;
    return out;
  }
};

template <class... Args>
Html html(HtmlTemplate<std::type_identity_t<Args>...> literal, const Args&... args) {
  return HtmlBuilder<Args...>::build(literal.text, args...);
}

}  // namespace knock::server
