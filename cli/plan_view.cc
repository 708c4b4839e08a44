// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_view.h"

#include "schemas/plan/codec.h"

namespace knock::cli {

void ViewFlags::add_to(CLI::App& command) {
  command
      .add_option("--format", format,
                  "text, markdown (for a comment on a change request), html (one page, nothing "
                  "else needed) or json")
      ->check(CLI::IsMember({"text", "markdown", "html", "json"}));
  command
      .add_option("--view", view,
                  "shape (what follows from the policies alone; nobody's name, no address, no "
                  "counts), people (names and times, no addresses) or full")
      ->check(CLI::IsMember({"shape", "people", "full"}));
}

std::optional<std::string> format_of(const Global& global, const ViewFlags& flags) {
  if (!global.json) return flags.format.empty() ? "text" : flags.format;
  if (!flags.format.empty() && flags.format != "json") return std::nullopt;
  return "json";
}

void print_plan(const Plan& plan, const std::string& format, RenderOptions options,
                const ViewFlags& flags) {
  options.view = view_from(flags.view).value_or(View::shape);
  if (format == "json")
    write_json(plan, print, options.view);
  else if (format == "markdown")
    write_markdown(plan, options, print);
  else if (format == "html")
    write_html(plan, options, print);
  else
    write_text(plan, options, print);
}

}  // namespace knock::cli
