// SPDX-License-Identifier: Apache-2.0
// For the test's OpenID provider: changes the ID tokens it gives, as $WRONG_TOKEN (a file) says at
// that moment, and keeps what went out in $WRONG_TOKEN.seen. Signed again with the provider's own
// key, so that nothing but the one wrong thing is wrong.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';

const file = process.env.WRONG_TOKEN;
const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

const wrong = {
  nonce: (t) => { t.claims.nonce = 'somebody-elses-nonce'; },
  'no nonce': (t) => { delete t.claims.nonce; },
  audience: (t) => { t.claims.aud = 'other-app'; },
  issuer: (t) => { t.claims.iss = 'http://127.0.0.1:1'; },
  expired: (t) => { t.claims.iat -= 7200; t.claims.exp = t.claims.iat + 60; },
  key: (t) => { t.key = stranger; },
  'no signature': (t) => { t.head.alg = 'none'; t.key = null; },
  groups: (t) => { t.claims.groups = 'eng'; },
};

export function onResponse({ path, body, keys }) {
  if (path !== '/token') return undefined;
  const answer = JSON.parse(body);
  const change = wrong[readFileSync(file, 'utf8')];
  if (answer.id_token && change) {
    const [head, claims] = answer.id_token.split('.').slice(0, 2).map((p) => JSON.parse(Buffer.from(p, 'base64url')));
    const t = { head, claims, key: createPrivateKey({ key: keys.find((k) => k.kid === head.kid), format: 'jwk' }) };
    change(t);
    const text = `${part(t.head)}.${part(t.claims)}`;
    answer.id_token = `${text}.${t.key ? sign('sha256', Buffer.from(text), t.key).toString('base64url') : ''}`;
  }
  for (const secret of [answer.id_token, answer.access_token, answer.refresh_token])
    if (secret) appendFileSync(`${file}.seen`, `${secret}\n`);
  return { body: JSON.stringify(answer) };
}
