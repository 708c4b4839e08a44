// SPDX-License-Identifier: Apache-2.0
// Every check of the loader, by name. One enumerator is one diagnostic id, so an id that is not
// listed cannot be reported; the tests hold the lists below against their table of hostile
// documents.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace knock {

/// Whose document it is. Checks of the reader carry the area in their id: policy.unknown-key,
/// config.unknown-key.
enum class CheckArea : std::uint8_t { policy, config };

enum class Check : std::uint8_t {
  // The document as YAML: ids "yaml.…" in both areas.
  too_large,
  encoding,
  hidden_character,
  empty,
  several_documents,
  root_not_map,
  anchor,
  alias,
  tag,
  merge_key,
  depth,
  nodes,
  duplicate_key,
  key_not_text,
  open_quote,
  syntax,
  // Keys and scalars: "policy.…" or "config.…".
  unknown_key,
  missing_key,
  missing_value,
  wrong_type,
  bad_name,
  ambiguous_text,
  bad_text,
  bad_boolean,
  bad_duration,
  bad_prefix,
  host_bits,
  wide_prefix,
  empty_list,
  unknown_type,
  not_supported,
  too_many_problems,
  // Policy only.
  bad_number,
  bad_time,
  bad_port,
  bad_probe,
  header_missing,
  header_version,
  reserved_name,
  duplicate_name,
  unknown_group,
  unknown_network,
  unknown_service,
  unknown_target,
  unknown_sign_in,
  group_from_missing,
  bad_table,
  bad_netns,
  bad_hook,
  same_table,
  deny_everything,
  empty_condition,
  star_mixed,
  star_too_large,
  no_files,
  too_many_files,
  too_large_in_all,
  bad_choice,
  bad_subject,
  bad_days,
  bad_clock,
  empty_window,
  too_many_windows,
  unknown_zone,
  zone_unreadable,
  lasts_twice,
  lasts_wide,
  quorum_too_large,
  path_too_short,
  path_twice,
  reserved_table,
  reserve_too_large,
  no_surface,
  ttl_too_long,
  static_too_long,
  static_ended,
  static_ending,
  too_many_pieces,
  too_many_static_entries,
  test_kind,
  empty_test,
  test_contradicts,
  not_one_address,
  unused_group,
  unused_network,
  unused_service,
  // Config only.
  bad_owner,
  bad_listen,
  bad_url,
  plain_http,
  bad_path,
  bad_store,
  bad_user,
  literal_secret,
  bad_secret,
  policy_location,
  bad_repository,
  bad_ref,
  bad_signers,
  bad_advance,
  bad_issuer,
  bad_algorithm,
  bad_scope,
  bad_token_auth,
  bad_operator,
  name_taken,
};
inline constexpr Check kLastCheck = Check::name_taken;

/// "yaml.duplicate-key", "policy.unknown-key", "config.bad-listen".
std::string id_of(Check check, CheckArea area);
/// Every id that load_policy can report, sorted.
std::vector<std::string> policy_diagnostic_ids();
/// Every id that load_config can report, sorted.
std::vector<std::string> config_diagnostic_ids();

}  // namespace knock
