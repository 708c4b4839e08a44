// SPDX-License-Identifier: Apache-2.0
// Browserless login client: follows redirects with a cookie jar and fills in the provider's forms.
// Usable as a module, or:
//   node flow.mjs oidc ISSUER USER [CLIENT_ID]   prints the tokens as JSON
//   node flow.mjs drive URL USER STOP_PREFIX     signs in from URL on, prints the first address that begins with STOP_PREFIX
import { createHash, randomBytes } from 'node:crypto';

export class Jar {
  constructor() { this.c = new Map(); }
  take(url, res) {
    for (const line of res.headers.getSetCookie()) {
      const [kv, ...attrs] = line.split(';').map((s) => s.trim());
      const i = kv.indexOf('='); const k = `${new URL(url).host}|${kv.slice(0, i)}`;
      const gone = attrs.some((a) => /^expires=Thu, 01 Jan 1970/i.test(a) || /^max-age=0$/i.test(a));
      if (gone || kv.slice(i + 1) === '') this.c.delete(k); else this.c.set(k, kv.slice(i + 1));
    }
  }
  header(url) {
    const h = `${new URL(url).host}|`;
    return [...this.c].filter(([k]) => k.startsWith(h)).map(([k, v]) => `${k.slice(h.length)}=${v}`).join('; ');
  }
}
const unhtml = (s) => s.replace(/&quot;/g, '"').replace(/&#x27;|&#39;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&#x([0-9a-f]+);/gi, (_, h) => String.fromCodePoint(parseInt(h, 16))).replace(/&amp;/g, '&');
export function form(html) {
  const f = /<form[^>]*>([\s\S]*?)<\/form>/i.exec(html); if (!f) return null;
  const tag = html.slice(f.index, html.indexOf('>', f.index) + 1);
  const attr = (t, n) => { const m = new RegExp(`\\b${n}\\s*=\\s*("([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(t); return m ? unhtml(m[2] ?? m[3] ?? m[4]) : undefined; };
  const fields = {};
  for (const i of f[1].match(/<(input|button)[^>]*>/gi) || []) { const n = attr(i, 'name'); if (n) fields[n] = attr(i, 'value') ?? ''; }
  return { action: attr(tag, 'action'), method: (attr(tag, 'method') || 'get').toLowerCase(), fields };
}
// GET/POST, following redirects by hand; stops where stop(url) is true and returns that url.
export async function walk(jar, url, { method = 'GET', data, stop = () => false, headers = {}, max = 20 } = {}) {
  for (let i = 0; i < max; i++) {
    if (stop(url) && method === 'GET') return { url, res: null, text: '' };
    const res = await fetch(url, { method, redirect: 'manual', headers: { cookie: jar.header(url), ...headers, ...(data ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) }, body: data && new URLSearchParams(data).toString() });
    jar.take(url, res);
    const loc = res.headers.get('location');
    if (res.status >= 300 && res.status < 400 && loc) { url = new URL(loc, url).href; method = 'GET'; data = undefined; continue; }
    return { url, res, text: await res.text() };
  }
  throw new Error('too many redirects');
}
// Fill in forms (login, consent, device confirmation, SAML auto-post) until stop(url) or a page without one.
export async function drive(jar, url, { user, password = `${user}-pw`, stop, extra = {} } = {}) {
  let r = await walk(jar, url, { stop });
  for (let i = 0; i < 12; i++) {
    if (stop && stop(r.url)) return r;
    const f = form(r.text); if (!f) return r;
    const d = { ...f.fields };
    for (const k of Object.keys(d)) {
      if (/^(login|username|user)$/i.test(k)) d[k] = user;
      if (/^password$/i.test(k)) d[k] = password;
      if (k in extra) d[k] = extra[k];
    }
    const target = new URL(f.action || r.url, r.url).href;
    if (stop && stop(target)) return { url: target, res: null, text: '', post: d };
    r = f.method === 'post' ? await walk(jar, target, { method: 'POST', data: d, stop })
      : await walk(jar, `${target}?${new URLSearchParams(d)}`, { stop });
  }
  return r;
}
export const b64u = (b) => Buffer.from(b).toString('base64url');
export const jwtBody = (t) => JSON.parse(Buffer.from(t.split('.')[1], 'base64url'));
export async function oidcLogin(issuer, user, { clientId = 'knock', secret, redirect = 'http://127.0.0.1:8400/auth/callback', scope = 'openid profile email groups', jar = new Jar(), params = {} } = {}) {
  const meta = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  const verifier = b64u(randomBytes(32)); const state = b64u(randomBytes(16)); const nonce = b64u(randomBytes(16));
  const q = new URLSearchParams({ client_id: clientId, redirect_uri: redirect, response_type: 'code', scope, state, nonce, code_challenge: b64u(createHash('sha256').update(verifier).digest()), code_challenge_method: 'S256', ...params });
  const r = await drive(jar, `${meta.authorization_endpoint}?${q}`, { user, stop: (u) => u.startsWith(redirect) });
  const back = new URL(r.url); const code = back.searchParams.get('code');
  if (!code) return { error: back.searchParams.get('error') || 'no code', page: r.text.slice(0, 300), url: r.url };
  const auth = secret === null ? {} : { authorization: `Basic ${Buffer.from(`${clientId}:${secret ?? `${clientId}-secret-0123456789abcdef0123456789abcdef`}`).toString('base64')}` };
  const t = await (await fetch(meta.token_endpoint, { method: 'POST', headers: auth, body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: redirect, code_verifier: verifier, ...(secret === null ? { client_id: clientId } : {}) }) })).json();
  return { ...t, iss: back.searchParams.get('iss'), stateOk: back.searchParams.get('state') === state, nonce, jar, meta, code, verifier };
}
if (process.argv[1]?.endsWith('/flow.mjs') && process.argv[2] === 'oidc') {
  const { jar, meta, ...t } = await oidcLogin(process.argv[3], process.argv[4], { clientId: process.argv[5] || 'knock' });
  if (t.id_token) t.claims = jwtBody(t.id_token);
  console.log(JSON.stringify(t, null, 1));
  process.exit(t.id_token ? 0 : 1);
}
if (process.argv[1]?.endsWith('/flow.mjs') && process.argv[2] === 'drive') {
  const [, , , from, user, prefix] = process.argv;
  const r = await drive(new Jar(), from, { user, stop: (u) => u.startsWith(prefix) });
  const there = r.url.startsWith(prefix);
  console.log(there ? r.url : `stopped at ${r.url}: ${r.text.slice(0, 500)}`);
  process.exit(there ? 0 : 1);
}
