# SPDX-License-Identifier: Apache-2.0
# What people who write policies use: fmt, schema, migrate, completion. Apart from the executable, so that tests reach it.
set(embedded)
foreach(pair kPolicySchema=schemas/policy/policy.v1.schema.json kConfigSchema=schemas/config/config.v1.schema.json
        kGithubJob=examples/ci/github.yml kGitlabJob=examples/ci/gitlab.yml)
  string(REGEX MATCH "^([^=]+)=(.*)$" _ "${pair}")
  set(name "${CMAKE_MATCH_1}")
  set(input "${CMAKE_SOURCE_DIR}/${CMAKE_MATCH_2}")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${name}.cc")
  add_custom_command(OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" -D "NAME=${name}" -D "INPUT=${input}" -D "OUTPUT=${output}"
            -P "${CMAKE_CURRENT_SOURCE_DIR}/embed_text.cmake"
    DEPENDS "${input}" embed_text.cmake VERBATIM)
  list(APPEND embedded "${output}")
endforeach()
knock_library(knock_authoring
  SOURCES completion_script.cc imported_policy.cc migration.cc policy_paths.cc suggest.cc unified_diff.cc ${embedded}
  LINK knock_policy_files knock_policy_format knock_nft_ruleset CLI11::CLI11)
# A literal longer than a compiler has to take; ours take it.
set_source_files_properties(${embedded} PROPERTIES COMPILE_OPTIONS -Wno-overlength-strings)
target_sources(knock PRIVATE completion.cc fmt.cc migrate.cc schema.cc)
target_link_libraries(knock PRIVATE knock_authoring)
