// Writes src/api/schema.ts from public/openapi.json; with --check it only says whether that file is old.
// Of the document only the schemas are used, without what would become comments: a sentence that changes does not change a type.

import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const file = new URL("../src/api/schema.ts", import.meta.url);
const document = JSON.parse(readFileSync(new URL("../../public/openapi.json", import.meta.url), "utf8"));

/** Said of a type, not part of it. */
const REMARKS = ["description", "format"];

/** A copy without remarks (a field may be called so: then it is an object), and with null for what may be missing. */
function bare(value) {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== "object" || value === null) return value;
  const kept = Object.entries(value).filter(([name, of]) => !REMARKS.includes(name) || typeof of !== "string");
  const copy = Object.fromEntries(kept.map(([name, of]) => [name, bare(of)]));
  if (copy.properties !== undefined) {
    // The API sends null rather than leave a field out.
    const nullable = Object.entries(copy.properties).filter(([, of]) => of.type?.includes("null") || of.oneOf !== undefined);
    copy.required = [...new Set([...(copy.required ?? []), ...nullable.map(([name]) => name)])];
  }
  return copy;
}

const schemas = { ...document, paths: {}, components: { schemas: bare(document.components.schemas) } };
const types = astToString(await openapiTS(schemas, { alphabetize: true, emptyObjectsUnknown: true }));
const text = `// What the API answers, generated from public/openapi.json by \`npm run types\`.\n\n${types}`;

if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (readFileSync(file, "utf8") !== text) {
  console.error("src/api/schema.ts is older than public/openapi.json: npm --prefix dashboard run types");
  process.exit(1);
}
