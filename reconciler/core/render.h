// SPDX-License-Identifier: Apache-2.0
// A plan for people: text (the layout of docs/cli.md), markdown that fits a comment on a change
// request, and one self-contained page of HTML. Pure, sorted, stable; what comes from outside is
// escaped. Everything is written piece by piece: a plan of a million changes is never held as one
// text.
//
// What the policy change means comes first, because it is the same in every run; then live
// sessions; then the entries of each target.
#pragma once

#include <cstddef>
#include <string>

#include "schemas/plan/codec.h"
#include "schemas/plan/plan.h"
#include "schemas/plan/view.h"

namespace knock {

struct RenderOptions {
  bool color = false;    // text: colours repeat what the sign in front of a line says
  std::string headline;  // of the commit: "payroll: add contractors"; may be empty
  std::string author;
  View view = View::full;
};

void write_text(const Plan& plan, const RenderOptions& options, const Write& out);
std::string to_text(const Plan& plan, const RenderOptions& options = {});

/// Forges refuse longer comments (GitHub: 65,536 characters); bytes are counted, to be sure.
inline constexpr std::size_t kMarkdownLimit = 60'000;
/// Never longer than the limit; what does not fit is counted. Names cannot call anybody, link to
/// anything or break out of their place.
void write_markdown(const Plan& plan, const RenderOptions& options, const Write& out);

/// A browser shows so many changes at a bearable pace; the rest is counted.
inline constexpr std::size_t kHtmlRows = 20'000;
/// No script, nothing loaded from anywhere, and a content security policy that says so.
void write_html(const Plan& plan, const RenderOptions& options, const Write& out);

/// "Plan: 1 to add, 1 to extend, 1 to remove on 2 targets; …"
std::string summary(const Plan& plan);

}  // namespace knock
