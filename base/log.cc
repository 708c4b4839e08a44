// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <atomic>

namespace knock {
namespace {
std::atomic<LogSink*> sink{nullptr};
}

void set_log_sink(LogSink* to) { sink = to; }

void log(LogLevel level, std::string_view id, std::string_view sentence,
         std::vector<LogField> fields) {
  if (auto* to = sink.load()) to->write(level, id, sentence, fields);
}

}  // namespace knock
