// Proves that a built deployment holds what it should and nothing else.
//
//   node check-output.mjs FOLDER          FOLDER is the copy of the sources in which `vercel build` ran

import { readFileSync, statSync } from "node:fs";
import path from "node:path";

import { filesBelow, functionsOf, pathsOf, routeOf } from "./output.mjs";

/** The limit of the smallest plan (https://vercel.com/docs/limits). */
const MOST_FUNCTIONS = 12;
/** A binary's size is half of its cold start: budget in bytes. */
const LARGEST_BINARY = 7_000_000;
/** What a browser asks for. Everything else in the static output would be a source that got published. */
const STATIC_FILE = /^(index\.html|robots\.txt|openapi\.json|favicon\.(ico|svg)|site\.webmanifest|(assets|icons)\/[\w.-]+\.(js|css|svg|png|ico|webp|woff2|json))$/;

const folder = process.argv[2];
const output = path.join(folder, ".vercel/output");
const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const wanted = read(path.join(folder, "vercel.json"));
const config = read(path.join(output, "config.json"));
const functions = functionsOf(folder);
const sources = filesBelow(path.join(folder, "api")).filter((file) => file.endsWith(".rs")).map((file) => `api/${file}`);

let failures = 0;
function check(what, problems) {
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"} ${what}`);
  for (const problem of problems) console.log(`       ${problem}`);
  failures += problems.length;
}
const difference = (left, right, word) => left.filter((one) => !right.includes(one)).map((one) => `${word}: ${one}`);

// Functions ------------------------------------------------------------------------------------------------------

const built = functions.map(({ name }) => `/${routeOf(name)}`).sort();
const expected = sources.map((source) => `/${routeOf(source)}`).sort();
check(`${functions.length} functions, one for each file under api/, and nothing else`, [
  ...difference(expected, built, "not built"),
  ...difference(built, expected, "built from nowhere"),
  ...(functions.length > MOST_FUNCTIONS ? [`more than ${MOST_FUNCTIONS}`] : []),
]);

check("every function is an executable of the Rust runtime", functions.flatMap(({ name, config, executable }) => {
  const problems = [];
  if (config.runtime !== "executable" || config.runtimeLanguage !== "rust") problems.push(`${name}: runtime ${config.runtime}`);
  if (!(statSync(executable).mode & 0o100)) problems.push(`${name}: not executable`);
  if (config.environment && Object.keys(config.environment).length > 0) problems.push(`${name}: carries an environment`);
  return problems;
}));

const sourceOf = (name) => sources.find((source) => routeOf(source) === routeOf(name));
check("every function has the maxDuration of vercel.json", functions.flatMap(({ name, config }) => {
  const source = sourceOf(name);
  const limit = (wanted.functions[source] ?? wanted.functions["api/**/*.rs"])?.maxDuration;
  return config.maxDuration === limit ? [] : [`${source}: ${config.maxDuration} s instead of ${limit} s`];
}));

for (const { name, size } of functions) {
  console.log(`       ${(size / 1e6).toFixed(2)} MB  /${routeOf(name)}`);
}
check(`every binary is within ${LARGEST_BINARY / 1e6} MB`, functions
  .filter(({ size }) => size > LARGEST_BINARY)
  .map(({ name, size }) => `${name}: ${(size / 1e6).toFixed(2)} MB`));

// Crons, routes, headers -----------------------------------------------------------------------------------------

const crons = (list) => (list ?? []).map(({ path, schedule }) => `${schedule} ${path}`).sort();
check("the crons are those of vercel.json, and call functions that are there", [
  ...difference(crons(wanted.crons), crons(config.crons), "missing"),
  ...difference(crons(config.crons), crons(wanted.crons), "unexpected"),
  ...wanted.crons.filter(({ path }) => !built.includes(path.split("?")[0])).map(({ path }) => `calls nothing: ${path}`),
]);

// Where a path goes: routes in order, and at "filesystem" what is there under that very name
// (https://vercel.com/docs/build-output-api/configuration#routes).
const routes = config.routes ?? [];
function destination(at) {
  for (const { handle, src, dest, status, continue: goesOn } of routes) {
    if (handle === "filesystem" && built.includes(at)) return at;
    if (handle === "error" || handle === "miss") break;
    if (!src || goesOn || !new RegExp(src).test(at)) continue;
    if (dest) return dest.split("?")[0];
    if (status) return `status ${status}`;
  }
  return "nothing";
}
const id = "6c58064d-12d5-42a3-86d5-d3affb929621";
check("every path reaches its own function, ids included, and any other the one that says 404", [
  ...built.flatMap((route) => pathsOf(route, id).map((path) => ({ route, path })))
    .filter(({ route, path }) => destination(path) !== route)
    .map(({ path }) => `${path} goes to ${destination(path)}`),
  ...["/api", "/api/nothing", "/api/admin/nothing", "/api/admin/nothing/at/all", `/api/admin/drift/${id}/nothing`,
    `/api/admin/drift/${id}/approve/`].filter((at) => destination(at) !== "/api/not-found")
    .map((at) => `${at} goes to ${destination(at)}`),
]);

check("the headers of vercel.json are on the page and not on the functions", wanted.headers.flatMap(({ headers }) => {
  const names = headers.map(({ key }) => key.toLowerCase());
  const onPath = (at) => {
    const found = routes.filter(({ src, headers }) => src && headers && new RegExp(src).test(at));
    return found.flatMap(({ headers }) => Object.keys(headers)).map((name) => name.toLowerCase());
  };
  return [
    ...difference(names, onPath("/"), "missing on /"),
    ...names.filter((name) => onPath("/api/health").includes(name)).map((name) => `on /api/health too: ${name}`),
  ];
}));

// Static files ---------------------------------------------------------------------------------------------------

const files = filesBelow(path.join(output, "static"));
check(`${files.length} static files: the page, its assets, the API's description, and no source`, [
  ...difference(["index.html", "openapi.json", "robots.txt"], files, "missing"),
  ...(files.some((file) => /^assets\/.*\.js$/.test(file)) ? [] : ["missing: the page's script"]),
  ...files.filter((file) => !STATIC_FILE.test(file)).map((file) => `does not belong there: ${file}`),
]);

process.exitCode = failures === 0 ? 0 : 1;
