// SPDX-License-Identifier: Apache-2.0
// Printing a plan in the form and view that somebody asked for: `plan` and `show`.
#pragma once

#include <string>

#include "cli/command.h"
#include "reconciler/core/render.h"

namespace knock::cli {

struct ViewFlags {
  std::string format;  // text, markdown, html or json; "" = text, or json with --json
  std::string view = "full";
  void add_to(CLI::App& command);
  /// Text in full is what a controller renders too.
  bool plain() const { return (format.empty() || format == "text") && view == "full"; }
};

/// The form, with --json considered; nothing when both say something else.
std::optional<std::string> format_of(const Global& global, const ViewFlags& flags);

/// To standard output, piece by piece.
void print_plan(const Plan& plan, const std::string& format, RenderOptions options,
                const ViewFlags& flags);

}  // namespace knock::cli
