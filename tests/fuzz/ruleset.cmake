# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(ruleset SOURCES ruleset.cc LINK knock_nft_ruleset knock_authoring knock_policy)
