// SPDX-License-Identifier: Apache-2.0
// The objects a plan is made of, as the JSON document and the saved file share them. Include from
// .cc files only.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "schemas/json/json_writer.h"
#include "schemas/json/object_reader.h"
#include "schemas/plan/plan.h"
#include "schemas/plan/view.h"

namespace knock {

/// Minor versions add members, major versions may break. Readers refuse another major version.
inline constexpr std::string_view kPlanVersion = "1.1";

/// Members of the plan itself and of a target, into an object that is open already.
void write_plan_members(JsonWriter& out, const Plan& plan);
void read_plan_members(ObjectReader& in, Plan& plan, ObjectReader::Others others);
void write_target_members(JsonWriter& out, const TargetPlan& target, View view);

/// Persons and cuts are in no `shape`.
void write_person(JsonWriter& out, const PersonChange& person, View view);
void write_cut(JsonWriter& out, const SessionCut& cut, View view);
void write_edit(JsonWriter& out, const PolicyEdit& edit, View view);
void write_figure(JsonWriter& out, const PeopleFigure& figure);
void write_finding(JsonWriter& out, const Finding& finding, View view);
void write_guard(JsonWriter& out, const GuardTrip& guard, View view);
void write_counts(JsonWriter& out, const TargetPlan& target);

using Others = ObjectReader::Others;
Result<TargetPlan> read_target(const boost::json::value& value, const std::string& where,
                               Others others);
Result<PersonChange> read_person(const boost::json::value& value, const std::string& where,
                                 Others others);
Result<SessionCut> read_cut(const boost::json::value& value, const std::string& where,
                            Others others);
Result<PolicyEdit> read_edit(const boost::json::value& value, const std::string& where,
                             Others others);
Result<PeopleFigure> read_figure(const boost::json::value& value, const std::string& where,
                                 Others others);
Result<Finding> read_finding(const boost::json::value& value, const std::string& where,
                             Others others);
Result<GuardTrip> read_guard(const boost::json::value& value, const std::string& where,
                             Others others);

/// 64 hex digits, lower case.
std::optional<Digest> digest_from_hex(std::string_view text);

}  // namespace knock
