// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/check.h"

#include <algorithm>
#include <string_view>

namespace knock {
namespace {

constexpr Check kFirstOfReader = Check::unknown_key;
constexpr Check kFirstOfPolicy = Check::bad_number;
constexpr Check kFirstOfConfig = Check::bad_owner;

std::string_view name_of(Check check) {
  switch (check) {
    case Check::too_large:
      return "too-large";
    case Check::encoding:
      return "encoding";
    case Check::hidden_character:
      return "hidden-character";
    case Check::empty:
      return "empty";
    case Check::several_documents:
      return "several-documents";
    case Check::root_not_map:
      return "root-not-map";
    case Check::anchor:
      return "anchor";
    case Check::alias:
      return "alias";
    case Check::tag:
      return "tag";
    case Check::merge_key:
      return "merge-key";
    case Check::depth:
      return "depth";
    case Check::nodes:
      return "nodes";
    case Check::duplicate_key:
      return "duplicate-key";
    case Check::key_not_text:
      return "key-not-text";
    case Check::open_quote:
      return "open-quote";
    case Check::syntax:
      return "syntax";
    case Check::unknown_key:
      return "unknown-key";
    case Check::missing_key:
      return "missing-key";
    case Check::missing_value:
      return "missing-value";
    case Check::wrong_type:
      return "wrong-type";
    case Check::bad_name:
      return "bad-name";
    case Check::ambiguous_text:
      return "ambiguous-text";
    case Check::bad_text:
      return "bad-text";
    case Check::bad_number:
      return "bad-number";
    case Check::bad_boolean:
      return "bad-boolean";
    case Check::bad_duration:
      return "bad-duration";
    case Check::bad_prefix:
      return "bad-prefix";
    case Check::host_bits:
      return "host-bits";
    case Check::wide_prefix:
      return "wide-prefix";
    case Check::empty_list:
      return "empty-list";
    case Check::unknown_type:
      return "unknown-type";
    case Check::too_many_problems:
      return "too-many-problems";
    case Check::bad_time:
      return "bad-time";
    case Check::bad_probe:
      return "bad-probe";
    case Check::bad_port:
      return "bad-port";
    case Check::not_supported:
      return "not-supported";
    case Check::header_missing:
      return "header-missing";
    case Check::header_version:
      return "header-version";
    case Check::reserved_name:
      return "reserved-name";
    case Check::duplicate_name:
      return "duplicate-name";
    case Check::unknown_group:
      return "unknown-group";
    case Check::unknown_network:
      return "unknown-network";
    case Check::unknown_service:
      return "unknown-service";
    case Check::unknown_target:
      return "unknown-target";
    case Check::unknown_sign_in:
      return "unknown-sign-in";
    case Check::group_from_missing:
      return "group-from-missing";
    case Check::bad_table:
      return "bad-table";
    case Check::bad_netns:
      return "bad-netns";
    case Check::bad_hook:
      return "bad-hook";
    case Check::same_table:
      return "same-table";
    case Check::deny_everything:
      return "deny-everything";
    case Check::empty_condition:
      return "empty-condition";
    case Check::star_mixed:
      return "star-mixed";
    case Check::star_too_large:
      return "star-too-large";
    case Check::no_files:
      return "no-files";
    case Check::too_many_files:
      return "too-many-files";
    case Check::too_large_in_all:
      return "too-large-in-all";
    case Check::bad_choice:
      return "bad-choice";
    case Check::bad_subject:
      return "bad-subject";
    case Check::bad_days:
      return "bad-days";
    case Check::bad_clock:
      return "bad-clock";
    case Check::empty_window:
      return "empty-window";
    case Check::too_many_windows:
      return "too-many-windows";
    case Check::unknown_zone:
      return "unknown-zone";
    case Check::zone_unreadable:
      return "zone-unreadable";
    case Check::lasts_twice:
      return "lasts-twice";
    case Check::lasts_wide:
      return "lasts-wide";
    case Check::quorum_too_large:
      return "quorum-too-large";
    case Check::path_too_short:
      return "path-too-short";
    case Check::path_twice:
      return "path-twice";
    case Check::reserve_too_large:
      return "reserve-too-large";
    case Check::reserved_table:
      return "reserved-table";
    case Check::no_surface:
      return "no-surface";
    case Check::ttl_too_long:
      return "ttl-too-long";
    case Check::static_too_long:
      return "static-too-long";
    case Check::static_ended:
      return "static-ended";
    case Check::static_ending:
      return "static-ending";
    case Check::too_many_pieces:
      return "too-many-pieces";
    case Check::too_many_static_entries:
      return "too-many-static-entries";
    case Check::test_kind:
      return "test-kind";
    case Check::empty_test:
      return "empty-test";
    case Check::test_contradicts:
      return "test-contradicts";
    case Check::not_one_address:
      return "not-one-address";
    case Check::unused_group:
      return "unused-group";
    case Check::unused_network:
      return "unused-network";
    case Check::unused_service:
      return "unused-service";
    case Check::bad_owner:
      return "bad-owner";
    case Check::bad_listen:
      return "bad-listen";
    case Check::bad_url:
      return "bad-url";
    case Check::plain_http:
      return "plain-http";
    case Check::bad_path:
      return "bad-path";
    case Check::bad_store:
      return "bad-store";
    case Check::bad_user:
      return "bad-user";
    case Check::literal_secret:
      return "literal-secret";
    case Check::bad_secret:
      return "bad-secret";
    case Check::policy_location:
      return "policy-location";
    case Check::bad_repository:
      return "bad-repository";
    case Check::bad_ref:
      return "bad-ref";
    case Check::bad_signers:
      return "bad-signers";
    case Check::bad_advance:
      return "bad-advance";
    case Check::bad_issuer:
      return "bad-issuer";
    case Check::bad_algorithm:
      return "bad-algorithm";
    case Check::bad_scope:
      return "bad-scope";
    case Check::bad_token_auth:
      return "bad-token-auth";
    case Check::bad_operator:
      return "bad-operator";
    case Check::name_taken:
      return "name-taken";
  }
  return "unknown";
}

bool belongs(Check check, CheckArea area) {
  // knock.yaml has choices of its own.
  if (check < kFirstOfPolicy || check == Check::bad_choice) return true;
  return area == CheckArea::policy ? check < kFirstOfConfig : check >= kFirstOfConfig;
}

std::vector<std::string> ids_of(CheckArea area) {
  std::vector<std::string> out;
  for (unsigned i = 0; i <= unsigned(kLastCheck); ++i)
    if (belongs(Check(i), area)) out.push_back(id_of(Check(i), area));
  std::ranges::sort(out);
  return out;
}

}  // namespace

std::string id_of(Check check, CheckArea area) {
  std::string_view prefix = area == CheckArea::policy ? "policy." : "config.";
  if (check < kFirstOfReader) prefix = "yaml.";
  return std::string(prefix) + std::string(name_of(check));
}

std::vector<std::string> policy_diagnostic_ids() { return ids_of(CheckArea::policy); }
std::vector<std::string> config_diagnostic_ids() { return ids_of(CheckArea::config); }

}  // namespace knock
