// What may import what: each folder of src/ only itself and those before it, the model no package, and no file one that
// imports it.

import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { expect, test } from "vitest";

/** From the ground up. main.tsx stands on all of them. */
const FLOORS = ["api", "model", "state", "ui", "views"];

/** Each file with what it imports: files by their path in src/, packages by their name. */
type Imports = Map<string, string[]>;

const SRC = new URL("../src/", import.meta.url);

function read(): Imports {
  const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file));
  return new Map(
    files.map((file) => {
      const text = readFileSync(new URL(file, SRC), "utf8");
      const used = [...text.matchAll(/\b(?:from|import)[ (]*"([^"]+)"/g)].map(([, path]) => path!);
      return [file, used.map((path) => (path.startsWith(".") ? posix.join(posix.dirname(file), path) : path))];
    }),
  );
}

/** What stands in the wrong place, each with what to do about it. */
function misplaced(imports: Imports): string[] {
  const floor = (file: string) => (file === "main.tsx" ? FLOORS.length : FLOORS.indexOf(file.split("/")[0]!));
  return [...imports].flatMap(([file, used]) => {
    if (floor(file) === -1) return [`src/${file} is on no floor: move it into one of ${FLOORS.join(", ")}`];
    return used.flatMap((path) => {
      if (imports.has(path)) {
        return floor(path) <= floor(file)
          ? []
          : [`src/${file} imports ${path}, which is above it: move what it needs from there down, or ${file} up (${FLOORS.join(" < ")})`];
      }
      return file.startsWith("model/")
        ? [`src/${file} imports "${path}": model/ decides without packages; what needs one goes to state/ or above`]
        : [];
    });
  });
}

/** The first circle of imports, or null. */
function circle(imports: Imports): string | null {
  const clear = new Set<string>();
  const follow = (path: string[]): string | null => {
    const file = path.at(-1)!;
    const begin = path.indexOf(file);
    if (begin < path.length - 1) return `${path.slice(begin).join(" → ")}: move what they share into a file that imports none of them`;
    if (clear.has(file)) return null;
    for (const used of imports.get(file) ?? []) {
      const found = follow([...path, used]);
      if (found !== null) return found;
    }
    clear.add(file);
    return null;
  };
  for (const file of imports.keys()) {
    const found = follow([file]);
    if (found !== null) return found;
  }
  return null;
}

test("every folder imports only from itself and those before it", () => {
  const imports = read();
  expect(imports.get("ui/id.tsx"), "imports are not read as they stand").toContain("ui/copy.tsx");
  expect(imports.get("state/session.ts"), "imports() are not read as they stand").toContain("api/auth-client.ts");
  expect(misplaced(imports)).toEqual([]);
});

test("no file imports one that imports it", () => {
  expect(circle(read())).toBeNull();
});

test("what stands in the wrong place is found, and so is a circle", () => {
  expect(misplaced(new Map([["model/a.ts", ["ui/b.tsx", "preact"]], ["ui/b.tsx", []], ["c.ts", []]]))).toEqual([
    expect.stringContaining("src/model/a.ts imports ui/b.tsx, which is above it"),
    expect.stringContaining('src/model/a.ts imports "preact"'),
    expect.stringContaining("src/c.ts is on no floor"),
  ]);
  const around: Imports = new Map([["main.tsx", ["ui/a.tsx"]], ["ui/a.tsx", ["ui/b.tsx"]], ["ui/b.tsx", ["ui/a.tsx"]]]);
  expect(circle(around)).toMatch(/^ui\/a\.tsx → ui\/b\.tsx → ui\/a\.tsx: move/);
});
