// The certified oidc-provider as an authorization server for the tests in the parent folder.
//
//   PORT=9000 JWKS_FILE=keys.json node server.mjs
//
// It listens on loopback alone and its issuer is http://127.0.0.1:PORT. JWKS_FILE holds private JWKs: all of them are
// published, and the first one that fits an algorithm signs.
//
// stdin is its remote control and its lifeline. The line "reload" makes it read JWKS_FILE again without closing the
// port; it answers "reloaded" on stdout. When stdin closes it exits, so that it never outlives the test that started it.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Provider, errors } from 'oidc-provider';

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;

// The APIs that tokens are for. The resource indicator (RFC 8707) is also the audience.
const resources = new Map([
  ['https://api.example/orders', { scope: 'orders:read orders:write' }],
  ['https://api.example/billing', { scope: 'orders:read orders:write' }],
]);

// One client for each signing algorithm: who asks decides how the token is signed.
const clientAlgorithms = new Map([
  ['client-rs256', 'RS256'],
  ['client-ps256', 'PS256'],
  ['client-es256', 'ES256'],
  ['client-eddsa', 'EdDSA'],
]);

function client(id) {
  return {
    client_id: id,
    client_secret: `${id}-secret`,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
  };
}

function resourceServer(ctx, indicator, { clientId }) {
  const resource = resources.get(indicator);
  if (!resource) {
    throw new errors.InvalidTarget();
  }
  return {
    ...resource,
    audience: indicator,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: clientAlgorithms.get(clientId) } },
  };
}

function newProvider() {
  return new Provider(issuer, {
    jwks: JSON.parse(readFileSync(process.env.JWKS_FILE, 'utf8')),
    clients: [...clientAlgorithms.keys()].map(client),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
    },
    ttl: { ClientCredentials: 600 },
  });
}

// A Provider's keys are fixed for its life, so a rotation replaces the whole Provider behind the same port. A request
// that is under way ends with the Provider it began with.
let handle = newProvider().callback();

const server = createServer((request, response) => handle(request, response));
server.listen(port, '127.0.0.1', () => console.log('ready'));

createInterface({ input: process.stdin })
  .on('line', (line) => {
    if (line === 'reload') {
      handle = newProvider().callback();
      console.log('reloaded');
    }
  })
  .on('close', () => process.exit(0));
