// Drift as CSV: correct, and harmless in a spreadsheet.

import { describe, expect, test } from "vitest";
import { cell, header, lines } from "../src/model/csv.ts";
import { drift } from "./make.ts";

describe("csv", () => {
  test("quotes what needs quotes", () => {
    expect(cell('a "b", c')).toBe('"a ""b"", c"');
    expect(cell("two\nlines")).toBe('"two\nlines"');
    expect(cell("plain")).toBe("plain");
  });

  test("nothing becomes a formula", () => {
    for (const evil of ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"]) expect(cell(evil).replace(/^"/, "")).toMatch(/^'/);
  });

  test("one line an entry, as many cells as columns, differences spelled out", () => {
    const text = lines([drift({ details: { status: { database: "active", stripe: "past_due" } } }), drift({ id: "d2", livemode: null })]);
    const [first, second, end] = text.split("\r\n");
    expect(first).toBe(
      "2026-11-23T10:00:00Z,2026-11-23T10:00:00Z,2026-11-23T10:00:00Z,info,status_mismatch,org,sub_1,,false,status differs,status: active -> past_due,repaired,The row was updated.,d1",
    );
    expect(second!.split(",")).toHaveLength(header().trimEnd().split(",").length);
    expect(end).toBe("");
  });
});
