// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/explain_target.h"

#include <fmt/format.h>

#include "base/text.h"
#include "reconciler/core/capacity.h"

namespace knock {
namespace {

using Cuts = Capabilities::CutsEstablished;

std::string an_entry_ends(const Capabilities& can) {
  if (can.native_expiry)
    return "the target itself closes it, to the second, whether knock runs or not.";
  if (can.comments)
    return "knock removes it. Its deadline stands in its mark, so that another machine can close "
           "it too (`knock sweep`).";
  return "knock removes it. The target has no room for a mark: without this controller's log "
         "nobody knows when it was to end.";
}

std::string knock_is_gone(const Capabilities& can) {
  if (can.native_expiry)
    return "nothing opens; what is open closes at its own deadline. Revocations and changes of "
           "policy wait until knock is back.";
  if (can.comments)
    return "nothing opens, and nothing closes either, until knock is back or `knock sweep` runs "
           "on another machine: run it there by a timer.";
  return "nothing opens, and what is open stays open until knock is back. Give it short lifetimes.";
}

std::string a_connection_is_open(const Capabilities& can) {
  switch (can.cuts_established) {
    case Cuts::always:
      return "it is cut when its entry goes.";
    case Cuts::on_request:
      return "it is cut when its entry goes, because knock asks for that.";
    case Cuts::never:
      return "it goes on when its entry goes, for as long as both ends like. Who is connected "
             "stays "
             "so; end the service's own sessions as well.";
  }
  return "";
}

std::string it_is_full(const Target& target, const Capabilities& can) {
  auto room = room_of(target, can);
  if (!room.limited()) return "it has no limit that matters; policy may set one (`capacity`).";
  auto kept = room.all - room.sessions;
  return fmt::format(
      "it holds {}{}. Then {}who finds no place waits, in the order of sign-ins, and is told. "
      "Nobody who is in is put out.",
      counted(room.all, "entry", "entries"),
      kept > 0 ? fmt::format(", {} of them kept for static rules", kept) : "",
      may_join(can) ? "neighbours of static rules that end together become one entry; " : "");
}

std::string somebody_edits_it(const Target& target, const Capabilities& can) {
  if (target.ownership == Ownership::observe)
    return "it is reported. Nothing is ever written here (ownership: observe).";
  std::string foreign = target.ownership == Ownership::exclusive
                            ? "Entries that knock did not make go, once the target is adopted."
                            : "Entries that knock did not make are left alone.";
  std::string races = can.compare_and_swap
                          ? " An edit at the same moment is noticed, and the target read again."
                          : " An edit at the same moment may be overwritten.";
  switch (target.heal) {
    case Heal::on:
      return "an entry that somebody removes is put back once; removed again, it stays away until "
             "the next sign-in, and the person is told. " +
             foreign + races;
    case Heal::warn:
      return "it is reported and left (heal: warn); what is open for too long is closed. " +
             foreign + races;
    case Heal::off:
      return "it is left, and not even reported (heal: off); what is open for too long is "
             "closed. " +
             foreign + races;
  }
  return "";
}

std::string its_machine_starts_again(const Target& target) {
  if (std::holds_alternative<NftablesSettings>(target.settings))
    return "the kernel forgets its rules: no entry stands, and the ports are as other rules leave "
           "them, until knock runs there again and builds them anew.";
  return "what it keeps itself, it keeps.";
}

std::string a_port_is_protected(const Capabilities& can, std::span<const Prefix> keep) {
  if (!can.closes_by_default) return "closing ports by default is the target's own affair.";
  if (keep.empty())
    return "everybody without an entry is kept out. No `keep` prefix is configured: protecting a "
           "port needs an acknowledgement.";
  return fmt::format("everybody without an entry is kept out, but for the operators' {}.",
                     counted(keep.size(), "keep prefix", "keep prefixes"));
}

std::string it_leaves_the_policy(const Target& target) {
  return target.on_remove == OnRemove::drain
             ? "its entries are removed first (on_remove: drain)."
             : "its entries stay as long as the target itself ends them; others are removed "
               "(on_remove: orphan).";
}

std::string many_changes_come(const Capabilities& can) {
  std::string calls =
      can.atomic ? "they are made at one stroke."
                 : fmt::format("they are made {} a call.", counted(can.batch, "entry", "entries"));
  if (can.calls_per_second > 0)
    calls += fmt::format(" The account has {} a second, a fifth of them kept for closing.",
                         counted(std::size_t(can.calls_per_second), "call", "calls"));
  return calls;
}

}  // namespace

std::vector<Told> explain_target(const Target& target, const Capabilities& can,
                                 std::span<const Prefix> keep) {
  return {
      {"an entry ends", an_entry_ends(can)},
      {"somebody is connected", a_connection_is_open(can)},
      {"knock is gone", knock_is_gone(can)},
      {"its machine starts again", its_machine_starts_again(target)},
      {"somebody edits it", somebody_edits_it(target, can)},
      {"it is full", it_is_full(target, can)},
      {"many changes come", many_changes_come(can)},
      {"a port is protected", a_port_is_protected(can, keep)},
      {"it leaves the policy", it_leaves_the_policy(target)},
  };
}

}  // namespace knock
