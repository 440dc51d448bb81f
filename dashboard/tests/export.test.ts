// Exports: which span, how many rows a page has, and that pages become one file or none.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exportName, exportSpan, rowsIn } from "../src/model/export.ts";

vi.stubGlobal("document", { hidden: false, addEventListener: () => undefined });
vi.stubGlobal("window", { addEventListener: () => undefined });
vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => undefined, removeItem: () => undefined });

const { api, ApiError, useTokens } = await import("../src/api/client.ts");
const { gather, nothingGathered } = await import("../src/state/export.ts");
type Page = Awaited<ReturnType<typeof api.exportPage>>;

const NOW = Date.parse("2026-11-23T10:17:03.500Z");

describe("the span", () => {
  test("is whole days in UTC, the last one included", () => {
    expect(exportSpan("2026-11-01", "2026-11-02", NOW)).toEqual({ from: "2026-11-01T00:00:00.000Z", to: "2026-11-03T00:00:00.000Z" });
    expect(exportSpan("2026-11-02", "2026-11-02", NOW)).toEqual({ from: "2026-11-02T00:00:00.000Z", to: "2026-11-03T00:00:00.000Z" });
  });

  test("ends now at the latest, or an export would run after what is written", () => {
    const now = "2026-11-23T10:17:03.500Z";
    expect(exportSpan("", "", NOW)).toEqual({ from: null, to: now });
    expect(exportSpan("2026-11-23", "2026-11-23", NOW)).toEqual({ from: "2026-11-23T00:00:00.000Z", to: now });
    expect(exportSpan("", "2027-01-01", NOW)).toEqual({ from: null, to: now });
  });

  test("says what is wrong with it", () => {
    expect(exportSpan("2026-11-02", "2026-11-01", NOW)).toBe("The last day must not be before the first.");
    expect(exportSpan("2026-11-24", "", NOW)).toBe("The first day is still to come.");
    expect(exportSpan("2026-13-01", "", NOW)).toMatch(/written like/);
    expect(exportSpan("", "tomorrow", NOW)).toMatch(/written like/);
  });

  test("is in the file's name", () => {
    expect(exportName("drift", "csv", "", "")).toBe("billing-ops_drift.csv");
    expect(exportName("runs", "ndjson", "2026-11-01", "2026-11-30")).toBe("billing-ops_runs_from_2026-11-01_through_2026-11-30.ndjson");
  });
});

test("rows are counted, whatever is in their cells", () => {
  expect(rowsIn("a,b\r\n1,2\r\n", "csv", true)).toBe(1);
  expect(rowsIn("a,b\r\n", "csv", true)).toBe(0);
  expect(rowsIn('1,"two\nlines, ""quoted"""\r\n2,"a\r\nb"\r\n', "csv", false)).toBe(2);
  expect(rowsIn('{"a":"say \\"hi"}\n{"a":1}\n', "ndjson", true)).toBe(2);
  expect(rowsIn("", "ndjson", true)).toBe(0);
});

describe("gathering", () => {
  const pages: Record<string, Page> = {
    "": { text: "id\r\n1\r\n2\r\n", next: "b", total: 5 },
    b: { text: "3\r\n4\r\n", next: "c", total: null },
    c: { text: "5\r\n", next: null, total: null },
  };

  test("pages become one file, and each step says how far it is", async () => {
    const gathered = nothingGathered();
    const steps: string[] = [];
    await gather(gathered, "csv", async (cursor) => pages[cursor ?? ""]!, () => steps.push(`${gathered.rows} of ${gathered.total}`));
    expect(await new Blob(gathered.parts).text()).toBe("id\r\n1\r\n2\r\n3\r\n4\r\n5\r\n");
    expect(steps).toEqual(["2 of 5", "4 of 5", "5 of 5"]);
  });

  test("a page that fails ends it, and it goes on from there without a gap or a double", async () => {
    const gathered = nothingGathered();
    const asked: (string | null)[] = [];
    let broken = true;
    const read = async (cursor: string | null) => {
      asked.push(cursor);
      if (cursor === "b" && broken) throw new ApiError(503, "database_unavailable", "Not now.");
      return pages[cursor ?? ""]!;
    };
    await expect(gather(gathered, "csv", read, () => undefined)).rejects.toThrow("Not now.");
    expect(gathered).toMatchObject({ rows: 2, total: 5, cursor: "b" });
    broken = false;
    await gather(gathered, "csv", read, () => undefined);
    expect(asked).toEqual([null, "b", "b", "c"]);
    expect(await new Blob(gathered.parts).text()).toBe("id\r\n1\r\n2\r\n3\r\n4\r\n5\r\n");
  });

  test("an empty span is a head line and no row", async () => {
    const gathered = nothingGathered();
    await gather(gathered, "csv", async () => ({ text: "id\r\n", next: null, total: 0 }), () => undefined);
    expect(gathered).toMatchObject({ rows: 0, total: 0, cursor: null });
  });
});

describe("a page over HTTP", () => {
  let answer: Response;
  const asked: string[] = [];
  beforeEach(() => {
    useTokens(null);
    asked.length = 0;
    vi.stubGlobal("fetch", async (path: string) => (asked.push(path), answer));
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test("is its text, and where the next one is", async () => {
    answer = new Response("id\r\n1\r\n", {
      headers: { "content-type": "text/csv; charset=utf-8; header=present", "x-next-cursor": "1_2", "x-total-count": "7" },
    });
    expect(await api.exportPage({ what: "runs", format: "csv", from: null, to: "2026-11-23T00:00:00.000Z", cursor: null })).toEqual({
      text: "id\r\n1\r\n",
      next: "1_2",
      total: 7,
    });
    expect(asked).toEqual(["/api/admin/export?what=runs&format=csv&to=2026-11-23T00%3A00%3A00.000Z&limit=1000"]);
    answer = new Response("", { headers: { "content-type": "application/x-ndjson; charset=utf-8" } });
    expect(await api.exportPage({ what: "runs", format: "ndjson", cursor: "1_2" })).toEqual({ text: "", next: null, total: null });
  });

  test("that is refused, or comes from something else, is an error", async () => {
    answer = new Response(JSON.stringify({ error: "Slowly.", code: "rate_limited", retry_after: 7 }), { status: 429 });
    await expect(api.exportPage({ what: "runs", format: "csv" })).rejects.toMatchObject({ code: "rate_limited", retryAfter: 7 });
    for (const [type, text] of [["text/html", "<html>"], ["application/json", "{}"]] as const) {
      answer = new Response(text, { headers: { "content-type": type } });
      await expect(api.exportPage({ what: "runs", format: "csv" })).rejects.toMatchObject({ code: "unreachable" });
    }
  });
});
