// The filters of the Drift page, from the address and back into it.

import { describe, expect, test } from "vitest";
import { actionsOf, asQuery, isNarrowed, readFilters, withState } from "../src/model/drift-filters.ts";
import { href, parse } from "../src/state/router.ts";

describe("drift filters", () => {
  test("survive the way into the address and back", () => {
    const filters = { state: "all", type: "status_mismatch", severity: "critical", action: "held", owner: "org & co" } as const;
    const address = href("drift", filters);
    expect(address).toBe("/?view=drift&action=held&owner=org+%26+co&severity=critical&state=all&type=status_mismatch");
    const route = parse(address.slice(1));
    expect(route.view).toBe("drift");
    expect(readFilters(route.params)).toEqual(filters);
  });

  test("an empty address is all that stands", () => {
    const filters = readFilters({});
    expect(isNarrowed(filters)).toBe(false);
    expect(asQuery(filters)).toMatchObject({ state: "open", type: "", severity: "" });
    expect(href("drift", { ...filters })).toBe("/?view=drift");
  });

  test("words that the API would refuse are none", () => {
    expect(readFilters({ state: "gone", type: "nonsense", severity: "loud", action: "repaired", owner: " org " })).toEqual({
      state: "",
      type: "",
      severity: "",
      action: "",
      owner: "org",
    });
  });

  test("another state keeps only an action that it knows", () => {
    const held = readFilters({ action: "held" });
    expect(withState(held, "closed")).toEqual({ state: "closed", action: null });
    expect(withState(held, "all")).toEqual({ state: "all", action: "held" });
    expect(withState(readFilters({ state: "closed", action: "repaired" }), "")).toEqual({ state: null, action: null });
    expect(new Set([...actionsOf(""), ...actionsOf("closed")])).toEqual(new Set(actionsOf("all")));
  });
});
