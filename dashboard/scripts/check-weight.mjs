// Fails the build when the page's JavaScript weighs more over the wire than it may: 60 kB (gzip) for everything but the
// sign-in library, which comes later in a chunk of its own.

import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 60_000;
const assets = new URL("../../public/assets/", import.meta.url);

let own = 0;
let library = 0;
for (const name of readdirSync(assets)) {
  if (!name.endsWith(".js")) continue;
  const size = gzipSync(readFileSync(new URL(name, assets)), { level: 9 }).length;
  if (name.startsWith("auth-client-")) library += size;
  else own += size;
}

if (own === 0 || library === 0) throw new Error("public/assets lacks the page's script or the sign-in library's");
const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
console.log(`JavaScript, gzip: ${kB(own)} of ${kB(BUDGET)}; sign-in library, loaded later: ${kB(library)}`);
if (own > BUDGET) {
  console.error("The page is too heavy.");
  process.exitCode = 1;
}
