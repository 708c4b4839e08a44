// SPDX-License-Identifier: Apache-2.0
// For the test's OpenID provider: puts the claims of $MORE_CLAIMS (a file with a JSON object) into
// the ID tokens it gives, signed again with the provider's own key.
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');

export function onResponse({ path, body, keys }) {
  if (path !== '/token') return undefined;
  const answer = JSON.parse(body);
  if (!answer.id_token) return undefined;
  const [head, claims] = answer.id_token.split('.').slice(0, 2).map((p) => JSON.parse(Buffer.from(p, 'base64url')));
  Object.assign(claims, JSON.parse(readFileSync(process.env.MORE_CLAIMS, 'utf8')));
  const text = `${part(head)}.${part(claims)}`;
  const key = createPrivateKey({ key: keys.find((k) => k.kid === head.kid), format: 'jwk' });
  answer.id_token = `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  return { body: JSON.stringify(answer) };
}
