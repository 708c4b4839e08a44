// SPDX-License-Identifier: Apache-2.0
// What a JSON Schema says of a document. valijson takes seconds to compile: include this in the two
// tests of published schemas, and nowhere else.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace knock::test {

/// "" when it fits.
inline std::string schema_problems(const valijson::Schema& schema,
                                   const boost::json::value& document) {
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  valijson::adapters::BoostJsonAdapter adapter(document);
  if (validator.validate(schema, adapter, &results)) return "";
  std::string out = "refused";
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    out += "\n";
    for (const auto& step : error.context) out += step;
    out += ": " + error.description;
  }
  return out;
}

}  // namespace knock::test
