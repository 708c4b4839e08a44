# SPDX-License-Identifier: Apache-2.0
if(NOT KNOCK_FUZZ)
  knock_test(fuzz_seeds_test SOURCES seeds_test.cc
    LINK knock_role_front knock_role_apply knock_role_spawn knock_role_verifier_start knock_plan knock_config knock_policy
         knock_policy_format knock_nft_ruleset knock_forwarded knock_http_values knock_oidc knock_forge_words)
endif()
