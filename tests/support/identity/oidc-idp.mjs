// SPDX-License-Identifier: Apache-2.0
// A complete OpenID Provider on 127.0.0.1 for tests, built on npm oidc-provider.
// usage: node oidc-idp.mjs PORT      (prints "ready ISSUER" when it listens)
// Environment: IDP_CLIENT_BASE  base address of the client under test (default http://127.0.0.1:8400)
//              IDP_CLIENTS      JSON file with extra/replacement clients
//              IDP_TTL          JSON, e.g. {"IdToken":60,"AccessToken":60,"RefreshToken":600,"Session":600}
//              IDP_CONSENT=1    show the consent page (default: consent is given silently)
//              IDP_PLUGIN       a module that may change outgoing responses: export function onResponse({path,status,headers,body,signWith}) 
import http from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { load, users, portArg, body, selfStop } from './lab.mjs';

const Provider = await load('oidc-provider');
const port = portArg();
const issuer = process.env.IDP_ISSUER || `http://127.0.0.1:${port}`;
const clientBase = process.env.IDP_CLIENT_BASE || 'http://127.0.0.1:8400';
const plugin = process.env.IDP_PLUGIN ? await import(pathToFileURL(process.env.IDP_PLUGIN).href) : {};
const ttl = { AccessToken: 300, AuthorizationCode: 60, IdToken: 300, RefreshToken: 3600, Session: 3600, Interaction: 600, Grant: 3600, DeviceCode: 300, ...JSON.parse(process.env.IDP_TTL || '{}') };
let people = users();

// ---- storage: one map for all provider instances, so a key rotation keeps sessions ----
const store = new Map();
const live = (k) => {
  const e = store.get(k);
  if (!e) return undefined;
  if (e.until && e.until < Date.now()) { store.delete(k); return undefined; }
  return e.v;
};
class Adapter {
  constructor(kind) { this.kind = kind; }
  k(id) { return `${this.kind}:${id}`; }
  async upsert(id, v, expiresIn) {
    const until = expiresIn ? Date.now() + expiresIn * 1000 : 0;
    store.set(this.k(id), { v, until });
    if (v.uid) store.set(`uid:${this.kind}:${v.uid}`, { v: id, until });
    if (v.userCode) store.set(`ucode:${v.userCode}`, { v: id, until });
  }
  async find(id) { return live(this.k(id)); }
  async findByUid(uid) { const id = live(`uid:${this.kind}:${uid}`); return id && this.find(id); }
  async findByUserCode(c) { const id = live(`ucode:${c}`); return id && this.find(id); }
  async consume(id) { const v = live(this.k(id)); if (v) v.consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { store.delete(this.k(id)); }
  async revokeByGrantId(g) { for (const [k, e] of store) if (e.v && e.v.grantId === g) store.delete(k); }
}

// ---- keys ----
let serial = 0;
function keySet() {
  serial++;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return [
    { ...rsa, kid: `rsa-${serial}`, use: 'sig' },
    { ...ec, kid: `ec-${serial}`, use: 'sig', alg: 'ES256' },
    { ...ed, kid: `ed-${serial}`, use: 'sig', alg: 'EdDSA' },
  ];
}
let keys = keySet();

// ---- clients: one per signature algorithm, all confidential, PKCE required ----
const confidential = (id, alg, extra = {}) => ({
  client_id: id, client_secret: `${id}-secret-0123456789abcdef0123456789abcdef`,
  redirect_uris: [`${clientBase}/auth/callback`, `${clientBase}/oauth2/callback`],
  post_logout_redirect_uris: [`${clientBase}/`, `${clientBase}/signed-out`],
  backchannel_logout_uri: `${clientBase}/auth/backchannel-logout`,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'], id_token_signed_response_alg: alg,
  token_endpoint_auth_method: 'client_secret_basic', ...extra,
});
let clients = [
  confidential('knock', 'RS256'), confidential('knock-es256', 'ES256'),
  confidential('knock-ps256', 'PS256'), confidential('knock-eddsa', 'EdDSA'),
  confidential('knock-post', 'RS256', { token_endpoint_auth_method: 'client_secret_post' }),
  { client_id: 'knock-cli', token_endpoint_auth_method: 'none', application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'] },
  // a second, unrelated application at the same provider: its tokens must never be accepted by knock
  confidential('other-app', 'RS256', { redirect_uris: ['http://127.0.0.1:8499/cb'], backchannel_logout_uri: undefined, backchannel_logout_session_required: undefined }),
];
if (process.env.IDP_CLIENTS) {
  const more = JSON.parse(readFileSync(process.env.IDP_CLIENTS, 'utf8'));
  clients = [...clients.filter((c) => !more.some((m) => m.client_id === c.client_id)), ...more];
}

function claimsOf(sub) {
  const u = people[sub];
  return { sub, name: u.name, preferred_username: sub, email: u.email, email_verified: u.email_verified !== false, groups: u.groups };
}

function build() {
  const p = new Provider(issuer, {
    adapter: Adapter, clients, ttl, jwks: { keys },
    cookies: { keys: ['lab-cookie-key'] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims: false, // put scope claims into the ID token as most providers do
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // the provider refuses to call loopback addresses (its SSRF guard); the client under test lives on one
    fetch: (to, { dispatcher, ...o }) => globalThis.fetch(to, o),
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    features: {
      devInteractions: { enabled: true }, deviceFlow: { enabled: true }, introspection: { enabled: true },
      revocation: { enabled: true }, backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true }, clientCredentials: { enabled: true },
    },
    async findAccount(ctx, sub) {
      const u = people[sub];
      if (!u || u.disabled) return undefined;
      return { accountId: sub, claims: async () => claimsOf(sub) };
    },
    ...(process.env.IDP_CONSENT === '1' ? {} : {
      async loadExistingGrant(ctx) {
        const { client, session, result } = ctx.oidc;
        const id = result?.consent?.grantId || session.grantIdFor(client.clientId);
        const old = id && await ctx.oidc.provider.Grant.find(id);
        if (old) return old;
        const g = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
        g.addOIDCScope('openid profile email groups offline_access');
        await g.save();
        return g;
      },
    }),
  });
  p.on('server_error', (ctx, e) => console.error('server_error', e.message));
  p.on('backchannel.error', (ctx, e, client, sub) => console.error('backchannel.error', client.clientId, sub, e.message));
  return p;
}
let provider = build();
let handle = provider.callback();
const seen = [];   // requests, newest last, for assertions in tests
let faults = [];   // [{path, status, times, delayMs}]

async function control(req, res, url) {
  const q = url.searchParams;
  const say = (o, s = 200) => { res.writeHead(s, { 'content-type': 'application/json' }); res.end(`${JSON.stringify(o)}\n`); };
  const what = url.pathname.slice('/_ctl/'.length);
  if (what === 'state') return say({ issuer, kids: keys.map((k) => k.kid), users: people, seen: seen.slice(-200) });
  if (req.method !== 'POST') return say({ error: 'POST' }, 405);
  if (what === 'rotate') {            // keep=0: the old keys leave the JWKS at once
    keys = q.get('keep') === '0' ? keySet() : [...keySet(), ...keys];
    provider = build(); handle = provider.callback();
    return say({ kids: keys.map((k) => k.kid) });
  }
  if (what === 'retire') {            // drop all but the newest keys
    keys = keys.slice(0, 3); provider = build(); handle = provider.callback();
    return say({ kids: keys.map((k) => k.kid) });
  }
  if (what === 'user') {              // ?sub=alice[&groups=a,b][&disabled=1|0]
    const u = people[q.get('sub')];
    if (!u) return say({ error: 'no such user' }, 404);
    if (q.has('groups')) u.groups = q.get('groups').split(',').filter(Boolean);
    if (q.has('disabled')) u.disabled = q.get('disabled') === '1';
    return say(u);
  }
  if (what === 'fault') {             // ?path=/jwks&status=503&times=2&delayMs=1000
    faults.push({ path: q.get('path'), status: Number(q.get('status') || 0), times: Number(q.get('times') || 1), delayMs: Number(q.get('delayMs') || 0), body: await body(req) });
    return say({ faults });
  }
  if (what === 'kill-sessions') {     // ?sub=alice : administrator ends the user's sessions and tells the clients
    let sent = 0;
    for (const [k, e] of [...store]) {
      if (!k.startsWith('Session:') || e.v.accountId !== q.get('sub')) continue;
      for (const [clientId, auth] of Object.entries(e.v.authorizations || {})) {
        const c = await provider.Client.find(clientId);
        if (c?.backchannelLogoutUri) { await c.backchannelLogout(e.v.accountId, auth.sid).then(() => { sent++; }, (x) => console.error('backchannel', x.message)); }
      }
      store.delete(k);
    }
    if (q.get('tokens') !== 'keep') for (const [k, e] of [...store]) if (e.v?.accountId === q.get('sub')) store.delete(k);
    return say({ sent });
  }
  if (what === 'reset') { people = users(); faults = []; store.clear(); seen.length = 0; return say({ ok: true }); }
  return say({ error: 'unknown' }, 404);
}

const server = http.createServer(async (req, res) => {
  try {
    const url = new URL(req.url, issuer);
    if (url.pathname.startsWith('/_ctl/')) return await control(req, res, url);
    seen.push({ t: Date.now(), m: req.method, p: url.pathname }); if (seen.length > 2000) seen.splice(0, 1000);
    const f = faults.find((x) => x.times > 0 && x.path === url.pathname);
    if (f) {
      f.times--;
      if (f.delayMs) await new Promise((r) => setTimeout(r, f.delayMs));
      if (f.status) { res.writeHead(f.status, { 'content-type': 'application/json' }); return res.end(f.body || '{"error":"injected"}'); }
    }
    if (plugin.onResponse && ['/token', '/jwks', '/me', '/.well-known/openid-configuration'].includes(url.pathname)) {
      // buffer the answer so that the plugin can rewrite it
      const parts = []; const end = res.end.bind(res); const head = {};
      res.write = (c) => { parts.push(Buffer.from(c)); return true; };
      res.setHeader = ((o) => (k, v) => { head[k.toLowerCase()] = v; return o(k, v); })(res.setHeader.bind(res));
      res.end = (c) => {
        if (c) parts.push(Buffer.from(c));
        const out = plugin.onResponse({ path: url.pathname, status: res.statusCode, headers: head, body: Buffer.concat(parts).toString(), keys, issuer, users: people });
        if (out?.status) res.statusCode = out.status;
        const b = Buffer.from(out?.body ?? Buffer.concat(parts));
        res.removeHeader('content-length'); res.setHeader('content-length', b.length);
        return end(b);
      };
    }
    handle(req, res);
  } catch (e) { console.error(e); if (!res.headersSent) res.writeHead(500); res.end(); }
});
server.listen(port, '127.0.0.1', () => console.log(`ready ${issuer}`));
selfStop(server);
