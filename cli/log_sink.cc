// SPDX-License-Identifier: Apache-2.0
#include "cli/log_sink.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "schemas/json/json_writer.h"

namespace knock::cli {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view word_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warning:
      return "warning";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

class SpdlogSink final : public LogSink {
 public:
  explicit SpdlogSink(bool for_people) : for_people_(for_people) {
    logger_ = spdlog::stderr_logger_mt("knock");
    logger_->set_pattern("%v");
    logger_->flush_on(spdlog::level::debug);
  }
  void set_level(spdlog::level::level_enum level) { logger_->set_level(level); }

  void write(LogLevel level, std::string_view id, std::string_view sentence,
             const std::vector<LogField>& fields) override {
    if (!logger_->should_log(level_of(level))) return;
    logger_->log(
        level_of(level), "{}",
        for_people_ ? line(level, id, sentence, fields) : json(level, id, sentence, fields));
  }

 private:
  static std::string line(LogLevel level, std::string_view id, std::string_view sentence,
                          const std::vector<LogField>& fields) {
    auto out = fmt::format("{} {:<7} {}", to_string_ms(SystemClock().now()).substr(11, 12),
                           word_of(level), sentence);
    for (const LogField& field : fields)
      out += fmt::format("  {}={}", field.name, printable(field.value));
    return out + fmt::format("  [{}]", id);
  }
  static std::string json(LogLevel level, std::string_view id, std::string_view sentence,
                          const std::vector<LogField>& fields) {
    std::string out = "{\"at\":";
    append_json_string(out, to_string_ms(SystemClock().now()));
    auto member = [&](std::string_view name, std::string_view value) {
      out += ',';
      append_json_string(out, name);
      out += ':';
      append_json_string(out, value);
    };
    member("level", word_of(level));
    member("id", id);
    member("message", sentence);
    for (const LogField& field : fields) member(field.name, field.value);
    return out + "}";
  }

  bool for_people_;
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace

void start_logging(bool verbose) {
  static SpdlogSink sink(isatty(STDERR_FILENO) == 1);
  sink.set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  set_log_sink(&sink);
}

}  // namespace knock::cli
