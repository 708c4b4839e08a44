// SPDX-License-Identifier: Apache-2.0
// The promises of the formatter over documents in every layout that a person might leave behind:
// odd indentation, brackets over several lines, comments and empty lines anywhere.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <fmt/format.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "schemas/policy/format.h"

namespace knock::test {
namespace {

int uniform(int low, int beyond) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, beyond));
}
bool one_in(int n) { return uniform(0, n) == 0; }
std::string any_of(std::vector<std::string> choices) {
  return choices[std::size_t(uniform(0, int(choices.size())))];
}

/// Writes a random document and remembers its comments.
class Author {
 public:
  std::string document() {
    if (one_in(10)) out_ += "---" + any_of({"", " ", "   "}) + "\n";
    if (one_in(20)) {
      gap(0);
      out_ += "knock: 1";
      end_line();
      return out_ + (one_in(2) ? "..." : "");
    }
    map(0, 0);
    gap(uniform(0, 4));
    if (one_in(5) && !out_.ends_with("\r\n")) out_.pop_back();
    return out_;
  }
  const std::vector<std::string>& comments() const { return comments_; }
  int flows_with_notes = 0, wide = 0, block_texts = 0;

 private:
  std::string comment() {
    auto text = any_of({"#", "# why", "#: x", "# a: b # c", "# - x", "## [ { \"",
                        "# gr\xc3\xbc\xc3\x9f"
                        "e"});
    text += std::to_string(comments_.size());
    comments_.push_back(text);
    return text;
  }
  std::string blanks(int least) { return std::string(std::size_t(uniform(least, least + 4)), ' '); }
  void end_line() {
    if (one_in(5)) out_ += blanks(1) + comment();
    if (one_in(8)) out_ += blanks(1);
    out_ += one_in(20) ? "\r\n" : "\n";
  }
  /// Comments and empty lines where a new line begins. A comment may stand anywhere.
  void gap(int indent) {
    bool text_above = std::exchange(block_text_above_, false);  // deeper ones would be part of it
    for (int n = one_in(3) ? uniform(1, 4) : 0; n > 0; --n) {
      if (one_in(2))
        out_ += one_in(6) ? "  \n" : "\n";
      else
        out_ += std::string(std::size_t(text_above  ? 0
                                        : one_in(2) ? indent
                                                    : uniform(0, 9)),
                            ' ') +
                comment() + "\n";
    }
  }

  std::string word() {
    return any_of({"a", "admins", "tcp/22", "10.0.0.0/8", "true", "22", "null", "~", "no", "8h",
                   "two words", "2027-01-31", "2001:db8::/48", "x#y",
                   "gr\xc3\xbc\xc3\x9f"
                   "e",
                   "-1", "a-b", "cn=x"});
  }
  std::string scalar() {
    if (one_in(10)) {
      ++wide;
      return std::string(std::size_t(uniform(20, 110)), 'w');
    }
    if (one_in(3))
      return any_of({"\"a\"", "'a'", "\"22\"", "'true'", "\"\"", "''", "\"x: y\"", "'x # y'",
                     "\"two words\"", "'it''s'", "\"a\\tb\"", "'say \"hi\"'", "\"*\"", "' s'",
                     "\"x, y\"", "\"{\"", "\"null\"", "'12:30'", "\"\\u00fc\""});
    return word();
  }
  std::string key() {
    auto name = "k" + std::to_string(++keys_);
    if (one_in(8)) name = "\"" + name + "\"";
    if (one_in(8)) name = "'" + name + " x'";
    if (one_in(12)) name = "null" + std::to_string(keys_);
    return name;
  }

  void map(int indent, int depth, bool first_is_inline = false) {
    for (int n = uniform(1, 6); n > 0; --n) {
      if (!std::exchange(first_is_inline, false)) {
        gap(indent);
        out_ += std::string(std::size_t(indent), ' ');
      }
      if (one_in(15))
        out_ += "? " + key() + "\n" + std::string(std::size_t(indent), ' ') + ":";
      else
        out_ += key() + (one_in(8) ? " :" : ":");
      value(indent, depth, true);
    }
  }
  void sequence(int indent, int depth, bool first_is_inline = false) {
    for (int n = uniform(1, 4); n > 0; --n) {
      if (!std::exchange(first_is_inline, false)) {
        gap(indent);
        out_ += std::string(std::size_t(indent), ' ');
      }
      out_ += "-";
      value(indent, depth, false);
    }
  }

  /// Behind `key:` or `-`, to the end of its last line.
  void value(int indent, int depth, bool in_map) {
    int kind = uniform(0, depth > 3 ? 6 : 9);
    if (kind == 0) return end_line();
    if (kind <= 2) {
      out_ += blanks(1) + scalar();
      return end_line();
    }
    if (kind == 3) return long_text(indent);
    if (kind <= 5) {
      bool next_line = one_in(5);
      if (next_line) {
        end_line();
        gap(indent + 1);
      }
      out_ += next_line ? std::string(std::size_t(indent) + 1, ' ') : blanks(1);
      flow(indent + 1, depth, false);
      return end_line();
    }
    bool list = one_in(2);
    int spaces = uniform(1, 5);
    if (!in_map && one_in(2)) {  // - key: value
      out_ += std::string(std::size_t(spaces), ' ');
      list ? sequence(indent + 1 + spaces, depth + 1, true)
           : map(indent + 1 + spaces, depth + 1, true);
      return;
    }
    end_line();
    if (list && in_map && one_in(2)) spaces = 0;
    list ? sequence(indent + spaces, depth + 1) : map(indent + spaces, depth + 1);
  }

  void long_text(int indent) {
    auto left = std::string(std::size_t(indent + uniform(1, 5)), ' ');
    if (one_in(3)) {  // plain, over lines
      out_ += " one";
      for (int n = uniform(1, 4); n > 0; --n) {
        out_ += one_in(4) ? "\n\n" : "\n";
        out_ += left + any_of({"two three", "four", "- five", std::string(70, 'v')});
      }
      return end_line();
    }
    ++block_texts;
    out_ += " " + any_of({"|", ">", "|-", ">-", "|+", ">+"});
    if (one_in(4)) out_ += " " + comment();
    out_ += "\n";
    for (int n = uniform(1, 4); n > 0; --n) {
      if (one_in(4)) out_ += "\n";
      out_ += left + any_of({"one", "# no comment", "a: b", "- x"}) + "\n";
      if (one_in(4)) out_ += left + "  deeper\n";
    }
    if (one_in(3)) out_ += "\n\n";
    block_text_above_ = true;
  }

  /// Between two tokens inside brackets.
  void inside(int indent, bool& notes) {
    if (one_in(8)) {
      notes = true;
      out_ += blanks(1) + comment() + "\n";
      gap(indent);
    } else if (one_in(6)) {
      out_ += "\n";
      if (one_in(4)) out_ += "\n";
    } else {
      out_ += blanks(0);
      return;
    }
    out_ += std::string(std::size_t(indent), ' ');
  }

  void flow(int indent, int depth, bool notes) {
    bool list = one_in(2);
    out_ += list ? "[" : "{";
    int n = uniform(0, 5);
    inside(indent, notes);
    for (int i = 0; i < n; ++i) {
      if (i > 0) {
        out_ += ",";
        inside(indent, notes);
        if (out_.back() == ',') out_ += " ";
      }
      if (!list) out_ += key() + ":" + (one_in(8) ? "" : " ");
      bool missing = !list && one_in(10);
      if (!list && !missing && out_.back() == ':') out_ += " ";
      if (!missing && depth < 4 && one_in(4))
        flow(indent + 1, depth + 1, false);
      else if (!missing)
        out_ += scalar();
      inside(indent, notes);
    }
    out_ += list ? "]" : "}";
    if (notes) ++flows_with_notes;
  }

  std::string out_;
  std::vector<std::string> comments_;
  int keys_ = 0;
  bool block_text_above_ = false;
};

std::optional<YamlNode> parsed(const std::string& text) {
  Findings findings(CheckArea::policy);
  return yaml_values(text, findings);
}

TEST(FormatProperty, KeepsItsPromises) {
  std::size_t cases = 0, readable = 0, notes = 0, wide = 0, block_texts = 0, changed = 0;
  EXPECT_TRUE(rc::check([&] {
    Author author;
    auto text = author.document();
    ++cases;
    auto before = parsed(text);
    if (!before) return;
    ++readable;
    auto out = format_policy_file("p.yaml", text);
    if (!out.text) RC_FAIL(text + "\n" + to_text(out.diagnostics));
    auto after = parsed(*out.text);
    RC_ASSERT(after.has_value());
    RC_ASSERT(same_values(*before, *after));
    if (yaml_comments(*out.text) != author.comments()) RC_FAIL(text + "\n=====\n" + *out.text);
    auto twice = format_policy_file("p.yaml", *out.text);
    if (twice.text != out.text)
      RC_FAIL(text + "\n=====\n" + *out.text + "\n=====\n" + twice.text.value_or("refused"));
    changed += *out.text != text;
    notes += author.flows_with_notes > 0;
    wide += author.wide > 0;
    block_texts += author.block_texts > 0;
  }));
  fmt::print(
      "{} documents, {} readable; of those {} changed, {} with comments in brackets, {} wide, "
      "{} with block texts\n",
      cases, readable, changed, notes, wide, block_texts);
  EXPECT_GT(readable * 10, cases * 9);
  EXPECT_GT(notes * 5, cases);
  EXPECT_GT(wide * 5, cases);
  EXPECT_GT(block_texts * 5, cases);
}

TEST(FormatProperty, NoLineHasBlanksAtItsEndAndNoTwoLinesAreEmpty) {
  EXPECT_TRUE(rc::check([] {
    Author author;
    auto text = author.document();
    if (author.block_texts > 0) return;  // their lines are not ours
    auto out = format_policy_file("p.yaml", text);
    if (!out.text) return;
    RC_ASSERT(out.text->find(" \n") == std::string::npos);
    RC_ASSERT(out.text->find("\n\n\n") == std::string::npos);
    RC_ASSERT(!out.text->starts_with("\n"));
    RC_ASSERT(!out.text->ends_with("\n\n"));
    RC_ASSERT(out.text->ends_with("\n"));
  }));
}

}  // namespace
}  // namespace knock::test
