// SPDX-License-Identifier: Apache-2.0
// Small helpers of the provider. Node >= 20, no dependencies.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
export const modulesDir = process.env.IDENTITY_LAB;

// Packages live in $IDENTITY_LAB/node_modules, apart from the source tree.
const req = createRequire(join(modulesDir, 'x.js'));
export const load = async (name) => {
  const m = await import(pathToFileURL(req.resolve(name)).href);
  return m.default ?? m;
};

export function users() {
  const all = JSON.parse(readFileSync(process.env.IDP_USERS || join(here, 'users.json'), 'utf8'));
  for (const u of Object.values(all)) {
    for (let i = 0; i < (u.groups_extra || 0); i++) u.groups.push(`team-${String(i).padStart(4, '0')}`);
    delete u.groups_extra;
  }
  return all;
}

export function portArg() {
  const p = Number(process.argv[2]);
  if (!Number.isInteger(p) || p < 1 || p > 65535) {
    console.error(`usage: ${process.argv[1]} PORT`);
    process.exit(2);
  }
  return p;
}

export async function body(reqst, limit = 1 << 20) {
  const parts = [];
  let n = 0;
  for await (const c of reqst) { n += c.length; if (n > limit) throw new Error('body too large'); parts.push(c); }
  return Buffer.concat(parts).toString('utf8');
}

// The provider stops by itself, so a crashed test run leaves nothing behind.
export function selfStop(server) {
  const s = Number(process.env.LAB_MAX_SECONDS || 1800);
  setTimeout(() => process.exit(0), s * 1000).unref();
  for (const sig of ['SIGTERM', 'SIGINT']) process.on(sig, () => { server.close(); process.exit(0); });
}
