// SPDX-License-Identifier: Apache-2.0
// One change as a JSON object: the same in `--json` documents and in saved plan files. Include from
// .cc files only.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/json/json_writer.h"
#include "schemas/json/object_reader.h"
#include "schemas/plan/plan.h"
#include "schemas/plan/view.h"

namespace knock {

std::string_view to_string(Step step);
std::optional<Step> step_from(std::string_view text);

/// Members whose value is empty are left out; so is the prefix where the action has none. For
/// View::people without addresses and without what they could be found by (an entry's id is a hash
/// of one). No change is in View::shape.
void write_change(JsonWriter& out, const Change& change, View view = View::full);
/// `others`: may there be members this version does not know?
Result<Change> read_change(const boost::json::value& value, const std::string& where,
                           ObjectReader::Others others = ObjectReader::Others::refused);

/// A list of attributions as a JSON text of its own, for stores.
std::string causes_to_json(const std::vector<Attribution>& causes);
Result<std::vector<Attribution>> causes_from_json(std::string_view text);

}  // namespace knock
