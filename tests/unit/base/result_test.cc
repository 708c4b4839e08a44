// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/log.h"

namespace knock {
namespace {

constexpr ErrorKind kKinds[] = {
    ErrorKind::invalid,  ErrorKind::not_found,    ErrorKind::unauthorized,
    ErrorKind::conflict, ErrorKind::rate_limited, ErrorKind::unavailable,
    ErrorKind::timeout,  ErrorKind::unsupported,  ErrorKind::internal};

TEST(Error, KindsHaveNames) {
  for (auto kind : kKinds) EXPECT_EQ(error_kind_from(to_string(kind)), kind);
  EXPECT_EQ(to_string(ErrorKind::rate_limited), "rate_limited");
  EXPECT_FALSE(error_kind_from("Invalid"));
  EXPECT_FALSE(error_kind_from(""));
}

TEST(Error, RetryFollowsFromTheKind) {
  for (auto kind : kKinds) {
    bool want = kind == ErrorKind::conflict || kind == ErrorKind::rate_limited ||
                kind == ErrorKind::unavailable || kind == ErrorKind::timeout;
    EXPECT_EQ((Error{kind, "", {}, std::nullopt}.retryable()), want) << to_string(kind);
  }
}

TEST(Error, ContextReadsOutermostFirstAndIsSafeToShow) {
  Error error{ErrorKind::unavailable, "HTTP 503\n\x1b[2J", {}, std::nullopt};
  auto text = std::move(error).within("observe").within("target prod\xe2\x80\xae").text();
  EXPECT_EQ(text, "target prod\\u{202e}: observe: HTTP 503\n  \\u{1b}[2J");
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(ErrorKind::invalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  KNOCK_ASSIGN(int first, half(n));
  KNOCK_ASSIGN(auto second, half(first));
  return second;
}
Status both_even(int a, int b) {
  KNOCK_CHECK(half(a));
  KNOCK_CHECK(half(b));
  return {};
}
Result<std::unique_ptr<int>> boxed(int n) {
  KNOCK_ASSIGN(auto box, Result<std::unique_ptr<int>>(std::make_unique<int>(n)));
  return box;
}
Result<int> named(int n) {
  auto result = half(n);
  if (!result) return fail_within("half of " + std::to_string(n), result);
  return *result;
}

TEST(Result, Macros) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_FALSE(quarter(7));
  EXPECT_TRUE(both_even(2, 4));
  EXPECT_FALSE(both_even(2, 3));
  EXPECT_EQ(**boxed(5), 5) << "values that only move";
  EXPECT_EQ(named(3).error().text(), "half of 3: odd");
}

class Recorder final : public LogSink {
 public:
  void write(LogLevel level, std::string_view id, std::string_view sentence,
             const std::vector<LogField>& fields) override {
    lines.push_back(std::to_string(int(level)) + " " + std::string(id) + " " +
                    std::string(sentence));
    for (const auto& field : fields)
      lines.back() += " " + std::string(field.name) + "=" + field.value;
  }
  std::vector<std::string> lines;
};

TEST(Log, GoesToTheSinkAndNowhereWithoutOne) {
  log(LogLevel::error, "X0", "nobody listens");
  Recorder recorder;
  set_log_sink(&recorder);
  log(LogLevel::warning, "X1", "said", {{"who", "an\na"}, {"n", "2"}});
  set_log_sink(nullptr);
  log(LogLevel::error, "X2", "nobody listens any more");
  EXPECT_EQ(recorder.lines, std::vector<std::string>{"2 X1 said who=an\na n=2"})
      << "values are raw";
}

}  // namespace
}  // namespace knock
