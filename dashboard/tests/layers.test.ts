// What may import what: each folder of src/ only itself and those before it, and no file one that imports it.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, test } from "vitest";

/** From the ground up. main.tsx stands on all of them. */
const FLOORS = ["api", "model", "state", "ui", "views"];

const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((file) => /\.tsx?$/.test(file));

function imports(file: string): string[] {
  const text = readFileSync(join("src", file), "utf8");
  const found = [...text.matchAll(/(?:from|import) ?\(?"(\.[^"]+)"/g)].map(([, path]) => normalize(join(dirname(file), path!)));
  return found.filter((path) => /\.tsx?$/.test(path));
}

test("every folder imports only from itself and those before it", () => {
  const floor = (file: string) => (file === "main.tsx" ? FLOORS.length : FLOORS.indexOf(file.split("/")[0]!));
  for (const file of files) {
    expect(floor(file), `src/${file} is in none of ${FLOORS.join(", ")}`).toBeGreaterThanOrEqual(0);
    for (const used of imports(file)) {
      expect(floor(used), `src/${file} imports ${used}, which stands on it`).toBeLessThanOrEqual(floor(file));
    }
  }
});

test("no file imports one that imports it", () => {
  const graph = new Map(files.map((file) => [file, new Set(imports(file))]));
  expect(graph.get("ui/id.tsx")?.has("ui/copy.tsx"), "imports are not read rightly").toBe(true);
  // Files that import nothing that is left are taken away until there are none: what stays is a circle.
  for (let leaf: string | undefined; (leaf = [...graph].find(([, uses]) => uses.size === 0)?.[0]) !== undefined; ) {
    graph.delete(leaf);
    for (const uses of graph.values()) uses.delete(leaf);
  }
  expect([...graph].map(([file, uses]) => `${file} → ${[...uses].join(", ")}`)).toEqual([]);
});
