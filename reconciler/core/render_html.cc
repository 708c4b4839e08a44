// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/random.h"
#include "base/sha256.h"
#include "base/text.h"
#include "reconciler/core/render_edits.h"
#include "reconciler/core/render_html_style.h"
#include "reconciler/core/render_words.h"
#include "schemas/plan/policy_part.h"

namespace knock {
namespace {

/// Base64 as RFC 4648 section 4 writes it, for the content security policy.
std::string base64(std::string_view bytes) {
  auto out = base64url(bytes);
  std::replace(out.begin(), out.end(), '-', '+');
  std::replace(out.begin(), out.end(), '_', '/');
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::string safe(std::string_view text) { return html_escape(text); }

/// A sentence of our own, in which `word` is a key of the policy.
std::string prose(std::string_view text) {
  std::string out;
  auto parts = split(text, '`');
  bool pairs = parts.size() % 2 == 1;
  for (std::size_t i = 0; i < parts.size(); ++i)
    out += pairs && i % 2 == 1 ? fmt::format("<code>{}</code>", safe(parts[i])) : safe(parts[i]);
  return pairs ? out : safe(text);
}

/// A place in the files, which may go on in the next line behind a folder.
std::string place_html(std::string_view place) {
  if (place.empty()) return "";
  std::string out = "<span class=\"dim place\">";
  for (char c : safe(place)) {
    out += c;
    if (c == '/') out += "<wbr>";
  }
  return out + "</span>";
}

class Page {
 public:
  Page(const Plan& plan, const RenderOptions& options, const Write& out)
      : plan_(plan), options_(options), words_(plan, options.view), out_(out) {}

  void write() {
    counts_ = counts_of(plan_);
    head();
    guards();
    figures(true);
    figures(false);
    cuts();
    findings();
    if (!words_.shape()) bars();
    edits();
    targets();
    auto end =
        words_.shape() ? fmt::format("{} {}", shape_summary(plan_), kLeftOut) : summary(plan_);
    out_ += fmt::format("<footer><p>{}</p></footer>\n</body>\n</html>\n", safe(end));
  }

 private:
  std::string title() const {
    auto to = short_revision(plan_.to);
    return plan_.from == plan_.to ? to : short_revision(plan_.from) + " → " + to;
  }

  void head() {
    out_ += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    out_ += fmt::format(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
        "'sha256-{}'; base-uri 'none'; form-action 'none'\">\n",
        base64(as_bytes(sha256(kPlanStyle))));
    out_ += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    out_ += "<meta name=\"referrer\" content=\"no-referrer\">\n";
    out_ += fmt::format("<title>Plan {}</title>\n<style>", safe(title()));
    out_ += kPlanStyle;
    out_ += "</style>\n</head>\n<body>\n";
    bool named = !options_.headline.empty() && !words_.shape();
    auto revision = fmt::format("Policy <code>{}</code>", safe(title()));
    out_ += fmt::format("<h1>{}</h1>\n", named ? safe(words_.shown(options_.headline)) : revision);
    out_ += "<p class=\"dim\">";
    if (named) out_ += revision;
    if (named && !options_.author.empty())
      out_ += fmt::format(" by {}", safe(words_.shown(options_.author)));
    out_ += fmt::format("{}as of {}</p>\n", named ? " · " : "", safe(to_string(plan_.as_of)));
    if (auto scope = scope_text(plan_); !scope.empty())
      out_ += fmt::format("<p class=\"box warn\"><b>Not the whole plan:</b> {}</p>\n", safe(scope));
    tiles();
  }

  void tile(std::string_view kind, const std::string& figure, std::string_view what) {
    out_ += fmt::format("<li class=\"{}\"><b>{}</b><span>{}</span></li>\n", kind, figure, what);
  }
  void tiles() {
    auto people = [](std::size_t n, bool complete) {
      return complete ? std::to_string(n) : fmt::format("{}+", n);
    };
    auto gain = [&](bool complete, std::string_view what) {
      return fmt::format("{}{}", what, complete ? "" : ", others unknown");
    };
    out_ += "<ul class=\"tiles\">\n";
    if (words_.shape()) {
      tile("", std::to_string(plan_.edits.size()),
           plan_.edits.size() == 1 ? "policy change" : "policy changes");
      out_ += "</ul>\n";
      return;
    }
    if (!plan_.scope.refresh_only) {
      tile("gain", people(counts_.gain, counts_.gain_complete),
           gain(counts_.gain_complete, counts_.gain == 1 ? "person gains" : "people gain"));
      tile("lose", people(counts_.lose, counts_.lose_complete),
           gain(counts_.lose_complete, counts_.lose == 1 ? "person loses" : "people lose"));
      tile(counts_.cut_sessions > 0 ? "lose" : "", std::to_string(counts_.cut_sessions),
           counts_.cut_sessions == 1 ? "live session is cut" : "live sessions are cut");
    }
    auto parts =
        fmt::format("+{} ~{} −{}", counts_.add, counts_.extend + counts_.shorten, counts_.remove);
    constexpr std::size_t kFitsOneLine = 9;  // in a tile of the least width
    tile(display_width(parts) > kFitsOneLine ? "parts long" : "parts", parts, "entries");
    tile("", fmt::format("{} of {}", counts_.changed, counts_.targets),
         fmt::format("targets change, {}{}",
                     counts_.calls_known ? counted(counts_.calls, "call", "calls")
                                         : counted(counts_.calls, "write", "writes"),
                     counts_.unreadable > 0 ? fmt::format("; {} not read", counts_.unreadable)
                                            : std::string()));
    tile(plan_.guards.empty() ? "" : "warned", std::to_string(plan_.guards.size()),
         plan_.guards.size() == 1 ? "guard tripped" : "guards tripped");
    out_ += "</ul>\n";
  }

  void guards() {
    if (plan_.guards.empty()) return;
    out_ +=
        "<div class=\"box warn\">\n<b>Guards hold changes back until somebody acknowledges "
        "them</b>\n<ul>\n";
    for (const GuardTrip& trip : plan_.guards)
      out_ += fmt::format("<li><b>{}</b> on <b>{}</b> holds {}: {}; {}</li>\n",
                          safe(printable(trip.guard)), safe(printable(trip.target.value)),
                          counted(trip.held, "change", "changes"),
                          prose(words_.our_own(trip.figure)), prose(words_.our_own(trip.limit)));
    out_ +=
        fmt::format("</ul>\n<p><code>knock apply --ack {}</code></p>\n</div>\n", short_id(plan_));
  }

  // ---- who gains, who loses

  struct Bar {
    std::size_t gain = 0, lose = 0;
    bool gain_unknown = false, lose_unknown = false;
  };
  /// By service; figures of several rules are added up.
  std::map<std::string, Bar> services() const {
    std::map<std::string, Bar> out;
    for (const FigureWords& figure : words_.figures(0))
      for (const std::string& service : figure.services) {
        Bar& bar = out[service];
        (figure.gains ? bar.gain : bar.lose) += figure.known;
        if (!figure.complete) (figure.gains ? bar.gain_unknown : bar.lose_unknown) = true;
      }
    return out;
  }
  static std::string shortened(const std::string& name) {
    constexpr std::size_t kMost = 24;
    if (display_width(name) <= kMost) return name;
    auto out = name.substr(0, kMost - 1);
    while (invalid_utf8_at(out)) out.pop_back();
    return out + "…";
  }
  /// Losses to the left of the axis, gains to the right; a dashed end where others are unknown.
  void bars() {
    auto all = services();
    if (all.empty()) return;
    constexpr std::size_t kMostBars = 30;
    std::size_t most = 1;
    for (const auto& [name, bar] : all) most = std::max({most, bar.gain, bar.lose});
    auto shown = std::min(all.size(), kMostBars);
    constexpr int kRow = 46, kAxis = 180, kReach = 64;
    auto length = [&](std::size_t n) {
      return n == 0 ? 0 : std::max(3, int(n * std::size_t(kReach) / most));
    };
    constexpr std::size_t kUnfoldedBars = 8;
    out_ += fmt::format("<h2>Services</h2>\n<details class=\"bars\"{}><summary>{}</summary>\n",
                        all.size() <= kUnfoldedBars ? " open" : "",
                        counted(all.size(), "service concerned", "services concerned"));
    out_ += fmt::format(
        "<svg viewBox=\"0 0 360 {0}\" role=\"img\" aria-label=\"How many people "
        "lose (left) and gain (right) each service; the tables above say the same\">\n",
        shown * kRow);
    std::size_t row = 0;
    for (const auto& [name, bar] : all) {
      if (row == shown) break;
      auto y = int(row) * kRow;
      out_ += fmt::format(
          "<text x=\"0\" y=\"{}\">{}</text>\n<line class=\"axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" "
          "y2=\"{}\"/>\n",
          y + 15, safe(shortened(name)), kAxis, y + 19, kAxis, y + 41);
      side(bar.lose, bar.lose_unknown, kAxis - length(bar.lose), y, length(bar.lose), "lose", -1);
      side(bar.gain, bar.gain_unknown, kAxis, y, length(bar.gain), "gain", 1);
      ++row;
    }
    out_ += "</svg>\n";
    if (all.size() > shown)
      out_ += fmt::format("<p class=\"dim\">{} in the tables above.</p>\n",
                          counted(all.size() - shown, "more service", "more services"));
    out_ += "</details>\n";
  }
  void side(std::size_t n, bool unknown, int x, int y, int length, std::string_view kind,
            int direction) {
    if (n == 0 && !unknown) return;
    constexpr int kUnknown = 12, kTop = 21, kHeight = 18, kBase = 35;
    if (n > 0)
      out_ += fmt::format(
          "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>\n", kind, x,
          y + kTop, length, kHeight);
    int end = direction > 0 ? x + length : x;
    if (unknown) {
      out_ += fmt::format(
          "<rect class=\"unknown\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>\n",
          direction > 0 ? end + 1 : end - kUnknown - 1, y + kTop, kUnknown, kHeight);
      end += direction * (kUnknown + 2);
    }
    out_ +=
        fmt::format("<text class=\"count\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}{}{}</text>\n",
                    end + direction * 5, y + kBase, direction > 0 ? "start" : "end",
                    direction > 0 ? "+" : "−", n, unknown ? " or more" : "");
  }

  static std::string cell(std::string_view label, std::string_view content,
                          std::string_view kind = "") {
    // An empty cell has no label: narrow screens leave it out.
    if (content.empty()) return "<td></td>";
    return fmt::format("<td{}{}>{}</td>", kind.empty() ? "" : fmt::format(" class=\"{}\"", kind),
                       label.empty() ? "" : fmt::format(" data-label=\"{}\"", label), content);
  }
  static void open_table(Buffered& out, std::initializer_list<std::string_view> columns) {
    out += "<div class=\"wide\"><table>\n<thead><tr>";
    for (auto column : columns) out += fmt::format("<th scope=\"col\">{}</th>", column);
    out += "</tr></thead>\n<tbody>\n";
  }

  /// The first few, and the others folded away.
  static std::string names(const FigureWords& figure) {
    if (figure.names.empty()) return "";
    constexpr std::size_t kShown = 8;
    auto all = std::max(figure.known, figure.names.size());
    if (all <= kShown) return safe(join(figure.names, ", "));
    auto middle = figure.names.begin() + std::ptrdiff_t(std::min(kShown - 2, figure.names.size()));
    std::vector<std::string> first(figure.names.begin(), middle);
    std::vector<std::string> rest(middle, figure.names.end());
    auto named = figure.names.size();
    if (all > named) rest.push_back(fmt::format("{} whose names have no room here", all - named));
    return fmt::format("{}<details class=\"names\"><summary>and {} more</summary>{}</details>",
                       safe(join(first, ", ")), all - first.size(), safe(join(rest, ", ")));
  }

  void figures(bool gains) {
    constexpr std::size_t kNames = 500;
    bool open = false;
    for (const FigureWords& figure : words_.figures(kNames)) {
      if (figure.gains != gains) continue;
      if (!open) {
        out_ += fmt::format("<h2>{}</h2>\n", gains ? "Who gains" : "Who loses");
        open_table(out_, {"service", "people", "who", "rule", "known from"});
        open = true;
      }
      auto count = figure.complete || words_.shape()
                       ? safe(figure.count)
                       : fmt::format(
                             "{} known, <span class=\"unknown\">others "
                             "unknown</span>",
                             figure.known);
      auto rule = safe(figure.rule);
      if (!figure.place.empty()) rule += " " + place_html(figure.place);
      out_ += "<tr>" + cell("", fmt::format("<b>{}</b>", safe(figure.service)), "name") +
              cell("people", count) + cell("who", names(figure)) + cell("rule", rule) +
              cell("known from", safe(figure.basis)) + "</tr>\n";
    }
    if (open) out_ += "</tbody>\n</table></div>\n";
  }

  void edits() {
    if (plan_.edits.empty()) return;
    out_ += "<h2>Policy changes</h2>\n";
    open_table(out_, {"", "what", "where", words_.shape() ? "" : "before and after"});
    for (const PolicyEdit& edit : plan_.edits) {
      bool added = edit.kind == PolicyEdit::Kind::added;
      bool removed = edit.kind == PolicyEdit::Kind::removed;
      std::string text;
      if (!words_.shape())
        for (const EditLine& line : lines_of(edit))
          text += fmt::format("<code class=\"{}\">{} {}</code>", line.added ? "now" : "was",
                              line.added ? "+" : "−", safe(words_.shown(line.text)));
      out_ += fmt::format("<tr class=\"{}\"><td class=\"sign\">{}</td>",
                          added     ? "is-new"
                          : removed ? "is-gone"
                                    : "is-other",
                          added     ? "+"
                          : removed ? "−"
                                    : "~") +
              cell("", fmt::format("<b>{}</b>", safe(words_.edit_name(edit))), "name") +
              cell("", place_html(words_.place(edit.origin)), "where") + cell("", text) + "</tr>\n";
    }
    out_ += "</tbody>\n</table></div>\n";
  }

  void cuts() {
    if (counts_.cut_sessions == 0) return;
    constexpr std::size_t kMost = 2'000, kUnfolded = 20;
    out_ += "<h2>Live sessions that are cut</h2>\n";
    auto cuts = words_.cuts();
    auto shown = std::min(cuts.size(), kMost);
    auto open = shown <= kUnfolded ? shown : kUnfolded / 2;
    cut_rows({cuts.data(), open});
    if (shown > open) {
      out_ += fmt::format("<details><summary>and {}</summary>\n",
                          counted(shown - open, "more session", "more sessions"));
      cut_rows({cuts.data() + open, shown - open});
      out_ += "</details>\n";
    }
    if (cuts.size() > kMost) more(cuts.size() - kMost);
  }
  void cut_rows(std::span<const Words::Cut> cuts) {
    open_table(
        out_, {"who", words_.view() == View::full ? "address" : "", "service", "time left", "why"});
    for (const auto& [who, address, services, left, why] : cuts) {
      auto mono = address.empty() ? "" : fmt::format("<code>{}</code>", safe(address));
      out_ += "<tr>" + cell("", fmt::format("<b>{}</b>", safe(who)), "name") +
              cell("address", mono) + cell("service", safe(services)) +
              cell("time left", safe(left)) + cell("why", safe(why)) + "</tr>\n";
    }
    out_ += "</tbody>\n</table></div>\n";
  }
  void findings() {
    auto findings = words_.findings();
    if (findings.empty()) return;
    out_ += "<h2>Findings</h2>\n";
    for (const FindingWords& finding : findings)
      out_ += fmt::format(
          "<p class=\"box{}\">{}{}</p>\n", finding.warning ? " warn" : "",
          finding.target.empty() ? "" : fmt::format("<b>{}</b>: ", safe(finding.target)),
          prose(finding.sentence));
  }

  // ---- targets

  void targets() {
    bool any = false;
    for (const TargetPlan& one : plan_.targets) {
      if (one.changes.empty() && one.held.empty() && one.readable) continue;
      if (!any) out_ += "<h2>Targets</h2>\n";
      any = true;
      target(one);
    }
  }
  void target(const TargetPlan& target) {
    constexpr std::size_t kOpen = 40;  // so few changes are not folded away
    auto size = target.changes.size() + target.held.size();
    out_ +=
        fmt::format("<details{}><summary><b>{}</b> {} <span class=\"dim\">{}</span></summary>\n",
                    size <= kOpen ? " open" : "", safe(printable(target.target.value)),
                    counted(size, "change", "changes"), safe(words_.target_state(target)));
    if (!target.readable) out_ += "<p>Nothing is changed there but closing what must close.</p>\n";
    if (words_.shape())
      count_rows(target);
    else
      rows(target);
    out_ += "</details>\n";
  }
  void rows(const TargetPlan& target) {
    if (target.changes.empty() && target.held.empty()) return;
    open_table(out_, {"", words_.view() == View::full ? "address" : "kind", "ports", "service",
                      "who", "until", "why"});
    std::size_t left_out = 0;
    for (const Change& change : target.changes) row(change, left_out);
    if (!target.held.empty()) held_heading(target.held.size(), 7);
    for (const Change& change : target.held) row(change, left_out);
    out_ += "</tbody>\n</table></div>\n";
    if (left_out > 0) more(left_out);
  }
  void held_heading(std::size_t changes, int columns) {
    out_ += fmt::format(
        "<tr class=\"heading\"><td colspan=\"{}\">Held back until somebody acknowledges it: {}</td>"
        "</tr>\n",
        columns, counted(changes, "change", "changes"));
  }
  void begin_row(Action action) {
    auto look = look_of(action);
    out_ += fmt::format("<tr class=\"{}\"><td class=\"sign\">{}</td>", look.name,
                        look.sign == '-' ? "−" : std::string(1, look.sign));
  }
  void row(const Change& change, std::size_t& left_out) {
    if (rows_ == kHtmlRows) {
      ++left_out;
      return;
    }
    ++rows_;
    begin_row(change.action);
    if (auto sentence = words_.sentence(change); !sentence.empty()) {
      out_ += fmt::format("<td colspan=\"6\">{}</td></tr>\n", safe(sentence));
      return;
    }
    out_ += cell("", fmt::format("<code>{}</code>", words_.prefix(change.prefix)), "nowrap");
    out_ += cell("ports", to_string(change.ports), "nowrap");
    out_ += cell("service", safe(printable(change.slot)));
    out_ += cell("who", safe(words_.who(change)));
    out_ += cell("", safe(words_.deadline(change)), "nowrap");
    out_ += cell("why", safe(words_.why(change)));
    out_ += "</tr>\n";
  }
  void count_rows(const TargetPlan& target) {
    auto counts = counts_of(target);
    if (counts.empty()) return;
    open_table(out_, {"", "what", "ports", "service", "why"});
    bool held = false;
    for (const auto& [kind, count] : counts) {
      if (kind.held && !held) held_heading(target.held.size(), 5);
      held = kind.held;
      begin_row(kind.action);
      out_ += cell("", safe(words_.what(kind, count))) +
              cell("ports", to_string(kind.ports), "nowrap") +
              cell("service", safe(printable(kind.slot))) +
              cell("why", safe(words_.why(kind, count))) + "</tr>\n";
    }
    out_ += "</tbody>\n</table></div>\n";
  }
  void more(std::size_t n) {
    out_ += fmt::format(
        "<p class=\"dim\">… and {} more, not shown: a page has no room for them; the text and JSON "
        "forms of this plan have everything.</p>\n",
        n);
  }

  const Plan& plan_;
  const RenderOptions& options_;
  Words words_;
  Buffered out_;
  PlanCounts counts_;
  std::size_t rows_ = 0;
};

}  // namespace

void write_html(const Plan& plan, const RenderOptions& options, const Write& out) {
  if (options.view == View::shape)
    Page(policy_part(plan), options, out).write();
  else
    Page(plan, options, out).write();
}

}  // namespace knock
