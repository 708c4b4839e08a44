# SPDX-License-Identifier: Apache-2.0
# The loader of policy and configuration. The JSON Schemas are checked in one file: valijson takes seconds to compile.
knock_test(policy_diagnostic_test SOURCES policy_diagnostic_test.cc LINK knock_policy)
knock_test(policy_yaml_test SOURCES policy_yaml_test.cc LINK knock_policy)
knock_test(policy_hostile_test
  SOURCES policy_hostile_test.cc policy_rows_yaml.cc policy_rows_keys.cc policy_rows_meaning.cc policy_rows_condition.cc
          policy_rows_section.cc policy_rows_test.cc
  LINK knock_policy)
knock_test(policy_load_test SOURCES policy_load_test.cc LINK knock_policy)
knock_test(policy_language_test SOURCES policy_language_test.cc policy_rows_condition.cc LINK knock_policy)
knock_test(config_hostile_test SOURCES config_hostile_test.cc LINK knock_config)
knock_test(config_load_test SOURCES config_load_test.cc LINK knock_config)
knock_test(policy_examples_test SOURCES policy_examples_test.cc LINK knock_policy knock_tzdata)
knock_test(schedule_test SOURCES schedule_test.cc LINK knock_tzdata)
knock_test(policy_schema_test SOURCES policy_schema_test.cc LINK knock_config Boost::json)
