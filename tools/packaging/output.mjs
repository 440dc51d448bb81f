// Reads what `vercel build` has made (https://vercel.com/docs/build-output-api).

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

/** All files below a folder, as paths from it. */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** The functions of a deployment: name as in the output, configuration, executable. */
export function functionsOf(folder) {
  const functions = path.join(folder, ".vercel/output/functions");
  return filesBelow(functions)
    .filter((file) => path.basename(file) === ".vc-config.json")
    .map((file) => {
      const own = path.join(functions, path.dirname(file));
      const config = JSON.parse(readFileSync(path.join(functions, file), "utf8"));
      const executable = config.filePathMap?.[config.handler]
        ? path.join(folder, config.filePathMap[config.handler])
        : path.join(own, config.handler);
      return { name: path.dirname(file).replace(/\.func$/, ""), config, executable, size: statSync(executable).size };
    });
}

/** The route of a function or of its source: the path without `.rs`, without a last `index`. */
export function routeOf(name) {
  return name.replace(/\.rs$/, "").replace(/\/index$/, "");
}

/** What a route leaves open, ids aside, and which words its function knows there. */
const OPEN_ROUTES = {
  "api/[page]": ["health", "config", "metrics"],
  "api/admin/[page]": ["drift", "export", "notifications", "policies", "reconciliation-logs"],
  "api/admin/drift/[id]/[action]": ["approve", "revert", "except", "unexcept"],
  "api/admin/billing-alerts/[id]/[action]": ["resolve", "acknowledge", "unacknowledge", "snooze", "unsnooze", "note"],
};

/** Paths that lead to a route, with `id` in the place of an id. */
export function pathsOf(route, id) {
  const words = OPEN_ROUTES[route.replace(/^\//, "")];
  const routes = words ? words.map((word) => route.replace(/\[(page|action)\]/, word)) : [route];
  return routes.map((path) => path.replace("[id]", id));
}
