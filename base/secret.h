// SPDX-License-Identifier: Apache-2.0
// A value that must not be seen: it does not print, is wiped when it dies, and is compared in
// constant time.
#pragma once

#include <string>
#include <string_view>

namespace knock {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { wipe(); }

  /// The one way to the value; search for this word to find every use.
  std::string_view reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  /// Takes the same time wherever the first difference is.
  bool equals(std::string_view other) const;

 private:
  void wipe();
  std::string value_;
};

}  // namespace knock
