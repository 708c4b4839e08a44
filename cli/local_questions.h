// SPDX-License-Identifier: Apache-2.0
// Questions to the log in this process, without a running controller.
#pragma once

#include <memory>

#include "cli/local.h"
#include "server/core/questions.h"

namespace knock::cli {

/// Opens configuration and store for reading; nothing is written and no lock is taken.
class LocalQuestions {
 public:
  static Result<std::unique_ptr<LocalQuestions>> open(const Global& global);
  Questions& ask() { return *questions_; }

 private:
  LocalQuestions() = default;
  SystemRandom random_;
  std::optional<Config> config_;
  std::unique_ptr<FactStore> store_;
  std::optional<Questions> questions_;
};

/// A time, or why it cannot be read; "" is none.
Result<std::optional<Instant>> time_flag(const std::string& name, const std::string& written);

}  // namespace knock::cli
