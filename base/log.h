// SPDX-License-Identifier: Apache-2.0
// Operator-facing messages. A line has a stable id that docs/events.md explains, a sentence, and
// named values. The sink is set once by the executable before threads start; without one, lines go
// nowhere (libraries and tests).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace knock {

enum class LogLevel { debug, info, warning, error };

struct LogField {
  std::string_view name;
  std::string value;
};

class LogSink {
 public:
  virtual ~LogSink() = default;
  /// Any thread. Values are raw; the sink escapes them.
  virtual void write(LogLevel level, std::string_view id, std::string_view sentence,
                     const std::vector<LogField>& fields) = 0;
};

/// The sink must outlive every call of log(). nullptr = silent.
void set_log_sink(LogSink* sink);
void log(LogLevel level, std::string_view id, std::string_view sentence,
         std::vector<LogField> fields = {});

}  // namespace knock
