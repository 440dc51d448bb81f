// What the modes mean, and what switching one would do. Pure.

import type { Mode, Policies, Policy, Preview } from "../api/types.ts";
import { count, plural } from "./format.ts";

/** From the least that is done to the most. */
export const MODES: readonly Mode[] = ["observe", "approve", "auto"];

/** Whether `mode` lets more happen than `other`. */
export function isAbove(mode: Mode, other: Mode): boolean {
  return MODES.indexOf(mode) > MODES.indexOf(other);
}

/** What counts: the lower of the two. */
export function effectiveMode(mode: Mode, ceiling: Mode): Mode {
  return isAbove(mode, ceiling) ? ceiling : mode;
}

/** What billing-ops does in a mode, after its name. */
export const modeWords: Record<Mode, string> = {
  observe: "It looks, and writes nothing.",
  approve: "It repairs what a person has approved.",
  auto: "It repairs by itself.",
};

/** Those that a person can set: the others are never repaired. */
export function settable(policies: Policies): Policy[] {
  return policies.policies.filter((policy) => policy.repairable);
}

/** The mode in effect for a class; null where that isn't known. */
export function modeOf(policies: Policies | null, type: string): Mode | null {
  return policies?.policies.find((policy) => policy.type === type)?.effective ?? null;
}

/** The deployment's mode in a sentence, with the classes that are kept below it. */
export function modeSentence(policies: Policies): string {
  const below = settable(policies).filter((policy) => isAbove(policies.repair_mode, policy.effective)).length;
  const rest = below === 0 ? "" : ` For ${plural(below, "class", "classes")} of drift less is allowed.`;
  return `${modeWords[policies.repair_mode]}${rest}`;
}

function listed(parts: [n: number, text: string][]): string {
  const some = parts.filter(([n]) => n > 0).map(([, text]) => text);
  return some.length === 0 ? "" : `: ${some.join(", ")}`;
}

/** "31: raises access for 4, lowers it for 2, creates 3". */
function repaired({ repairs, raises, lowers, creates }: Preview): string {
  return `${count(repairs)}${listed([
    [raises, `raises access for ${count(raises)}`],
    [lowers, `lowers ${raises > 0 ? "it" : "access"} for ${count(lowers)}`],
    [creates, `creates ${count(creates)}`],
  ])}`;
}

/** "31 repairs: 4 raise access, 2 lower it, 3 create a row". */
function proposed({ repairs, raises, lowers, creates }: Preview): string {
  return `${plural(repairs, "repair")}${listed([
    [raises, `${count(raises)} ${raises === 1 ? "raises" : "raise"} access`],
    [lowers, `${count(lowers)} ${lowers === 1 ? "lowers" : "lower"} ${raises > 0 ? "it" : "access"}`],
    [creates, `${count(creates)} ${creates === 1 ? "creates" : "create"} a row`],
  ])}`;
}

/** What switching a class to `to` would do with what stands now, said before it is done. */
export function previewSentence(policy: Policy, to: Mode, ceiling: Mode): string {
  const then = effectiveMode(to, ceiling);
  if (isAbove(to, ceiling) && then === policy.effective) {
    return `Nothing changes as long as REPAIR_MODE is ${ceiling}.`;
  }
  const limited = isAbove(to, ceiling) ? ` REPAIR_MODE allows no more than ${ceiling}.` : "";
  if (!isAbove(then, policy.effective)) {
    return then === policy.effective
      ? `Nothing changes: ${then} is in effect already.`
      : then === "observe"
        ? "Nothing of this class is written any more."
        : "From now on a person has to approve each repair.";
  }
  if (policy.preview.repairs === 0) return `Nothing stands now that it would repair.${limited}`;
  const said = then === "auto" ? `Would repair ${repaired(policy.preview)}` : `A person could approve ${proposed(policy.preview)}`;
  return `${said}.${limited}`;
}
