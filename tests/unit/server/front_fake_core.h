// SPDX-License-Identifier: Apache-2.0
// A core that answers what the test told it to, and remembers what it was asked.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "server/front/core_channel.h"
#include "server/front/front.h"

namespace knock::test {

class FakeCore final : public server::CoreChannel {
 public:
  void ask(role::FromFront question, std::function<void(Result<role::ToFront>)> then) override {
    asked.push_back(question);
    then(answer(question));
  }

  /// Answers by the kind of question; SignIns and Me as set below.
  Result<role::ToFront> answer(const role::FromFront& question) {
    if (failure) return fail(*failure);
    if (std::holds_alternative<role::AskSignIns>(question)) return sign_ins;
    if (std::holds_alternative<role::AskMe>(question)) return me;
    if (std::holds_alternative<role::AskReady>(question)) return ready;
    return next;
  }

  template <class Question>
  std::vector<Question> all() const {
    std::vector<Question> out;
    for (const auto& question : asked)
      if (auto* one = std::get_if<Question>(&question)) out.push_back(*one);
    return out;
  }

  std::vector<role::FromFront> asked;
  role::ToFront sign_ins = role::SignIns{
      0, {{SignInName("corp"), "Corp <SSO>", false}, {SignInName("local"), "", true}}};
  role::ToFront me = role::Refused{0, "session.unknown", "Please sign in."};
  role::ToFront ready = role::Ready{0, true, ""};
  role::ToFront next = role::Ok{};  // to StartOidc, FinishOidc, SignInLocal, SignOut
  std::optional<Error> failure;
};

/// Counts up, so that tokens can be named in tests.
class CountingRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = ++last_;
  }

 private:
  std::uint8_t last_ = 0;
};

}  // namespace knock::test
