// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace knock {
namespace {

constexpr std::array kViews{
    std::pair{View::shape, std::string_view("shape")},
    std::pair{View::people, std::string_view("people")},
    std::pair{View::full, std::string_view("full")},
};

constexpr std::array kShapeSentences{
    std::pair{std::string_view("address.shared"),
              std::string_view("people share an address, and not all of them may reach what opens "
                               "there")},
    std::pair{std::string_view("plan.cut"),
              std::string_view("changes close before what takes over can open: somebody may be cut "
                               "for a moment")},
    std::pair{std::string_view("plan.partial"),
              std::string_view("was read only in part: nothing is changed but closing what must "
                               "close")},
    std::pair{std::string_view("plan.local"),
              std::string_view("this plan was made without the controller")},
    std::pair{
        std::string_view("plan.too-many-rules"),
        std::string_view("whom this concerns is not worked out: too many pairs of rules would "
                         "have to be compared")},
    std::pair{std::string_view("plan.no-surface"),
              std::string_view("this controller cannot enforce a key of the policy, and would "
                               "refuse it")},
    std::pair{std::string_view("target.gone"),
              std::string_view("is no longer in the policy: its entries are closed, its ports stay "
                               "protected")},
    std::pair{std::string_view("target.full"),
              std::string_view("has room for fewer entries than are wanted")},
    std::pair{std::string_view("target.keeps-connections"),
              std::string_view("does not end connections that are open when an entry goes")},
    std::pair{std::string_view("target.no-comments"),
              std::string_view("has no room for marks: what is there cannot be told from what "
                               "others put there")},
    std::pair{std::string_view("target.not-adopted"),
              std::string_view("is knock's alone by policy, and foreign entries stand in it")},
    std::pair{std::string_view("target.observed"), std::string_view("nothing is written there")},
    std::pair{std::string_view("target.observed-own"),
              std::string_view("nothing is written there, and entries from before stand there")},
    std::pair{std::string_view("target.orphaned"),
              std::string_view("leaves the policy, and its entries stay")},
    std::pair{std::string_view("target.other-mark"),
              std::string_view("entries carry the mark of another installation")},
    std::pair{std::string_view("target.other-owner"),
              std::string_view("belongs to another installation: nothing is written there")},
    std::pair{std::string_view("target.unknown-mark"),
              std::string_view("entries carry a mark of a version that this knock does not know")},
    std::pair{std::string_view("target.not-read"),
              std::string_view("is not in force as it stands there, so it was not read: it is "
                               "planned as if it held nothing")},
    std::pair{std::string_view("target.widens"),
              std::string_view("cannot hold entries as narrow as policy wants them")},
    std::pair{std::string_view("nftables.prefix-any"),
              std::string_view("a service is not opened to everybody, which is no allowlist")},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_of_address(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}

/// The end of "12.34.56.78" at the beginning of a text; 0: it begins otherwise.
std::size_t dotted_quad(std::string_view text) {
  std::size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at == text.size() || text[at++] != '.')) return 0;
    auto first = at;
    while (at < text.size() && at - first < 3 && is_digit(text[at])) ++at;
    if (at == first) return 0;
  }
  return at;
}

/// "07:00" or "12:06:40": the only texts with colons that are left alone.
bool is_time(std::string_view text) {
  if (text.size() != 5 && text.size() != 8) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (i % 3 == 2 ? text[i] != ':' : !is_digit(text[i])) return false;
  return true;
}

/// "/64" behind an address belongs to it.
std::size_t length_after(std::string_view text, std::size_t at) {
  auto end = at + 1;
  if (at >= text.size() || text[at] != '/') return at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end == at + 1 ? at : end;
}

constexpr std::string_view kHidden = "(address)";

/// A run of characters that addresses are made of.
void hide_in(std::string_view run, std::string& out) {
  if (run.starts_with(':') && !run.starts_with("::")) {
    out += ':';
    run.remove_prefix(1);
  }
  auto size = run.size();
  while (size > 0 &&
         (run[size - 1] == '.' || (run[size - 1] == ':' && !run.substr(0, size).ends_with("::"))))
    --size;
  auto body = run.substr(0, size);
  if (std::count(body.begin(), body.end(), ':') >= 2 && !is_time(body)) {
    out += kHidden;
  } else {
    for (std::size_t at = 0; at < size;) {
      auto quad = dotted_quad(body.substr(at));
      if (quad > 0)
        out += kHidden;
      else
        out += body[at];
      at += std::max<std::size_t>(quad, 1);
    }
  }
  out += run.substr(size);
}

}  // namespace

std::string_view to_string(View view) {
  for (const auto& [one, word] : kViews)
    if (one == view) return word;
  return "";
}

std::optional<View> view_from(std::string_view text) {
  for (const auto& [view, word] : kViews)
    if (word == text) return view;
  return std::nullopt;
}

std::string without_addresses(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    auto end = at;
    while (end < text.size() && is_of_address(text[end])) ++end;
    if (end == at) {
      out += text[at++];
      continue;
    }
    hide_in(text.substr(at, end - at), out);
    at = out.ends_with(kHidden) ? length_after(text, end) : end;
  }
  return out;
}

std::string kind_of(const Prefix& prefix) {
  std::string_view family = prefix.family() == Family::v6 ? "IPv6" : "IPv4";
  return prefix.is_host() ? fmt::format("{} host", family)
                          : fmt::format("{} /{}", family, prefix.length());
}

std::string_view shape_sentence(std::string_view finding_id) {
  for (const auto& [id, sentence] : kShapeSentences)
    if (id == finding_id) return sentence;
  return "this view does not say what was found";
}

std::string unreadable_text(const TargetPlan& target, View view) {
  if (view == View::full) return target.unreadable_because;
  return view == View::people ? without_addresses(target.unreadable_because) : "";
}

std::string sentence_text(const Finding& finding, View view) {
  if (view == View::full) return finding.sentence;
  // Speaks of a commit, its files and files of signers, and of nobody.
  bool of_files = finding.id == "plan.not-signed" || finding.id == "plan.behind";
  return view == View::people || of_files ? without_addresses(finding.sentence)
                                          : std::string(shape_sentence(finding.id));
}

std::map<ChangeKind, ChangeCount> counts_of(const TargetPlan& target) {
  std::map<ChangeKind, ChangeCount> out;
  auto add = [&](const std::vector<Change>& changes, bool held) {
    // Neighbours are mostly of one kind.
    std::pair<const ChangeKind, ChangeCount>* last = nullptr;
    for (const Change& change : changes) {
      bool same = last != nullptr && last->first.action == change.action &&
                  last->first.reason == change.reason && last->first.slot == change.slot &&
                  last->first.ports == change.ports;
      if (!same)
        last = &*out.try_emplace({held, change.action, change.reason, change.slot, change.ports})
                     .first;
      ++last->second.count;
      for (const Attribution& cause : change.causes) {
        auto& rules = last->second.rules;
        auto at = std::lower_bound(rules.begin(), rules.end(), cause.rule);
        if (at == rules.end() || *at != cause.rule) rules.insert(at, cause.rule);
      }
    }
  };
  add(target.changes, false);
  add(target.held, true);
  return out;
}

}  // namespace knock
