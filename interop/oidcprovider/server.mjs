// The certified oidc-provider as an authorization server for the tests in the parent folder.
//
//   PORT=9000 JWKS_FILE=keys.json CLIENTS_FILE=clients.json node server.mjs
//
// It listens on loopback alone and its issuer is http://127.0.0.1:PORT. JWKS_FILE holds private JWKs: all of them are
// published, and the first one that fits an algorithm signs. CLIENTS_FILE holds the metadata (RFC 7591 §2) of clients
// beyond those below: the APIs that introspect. With TLS_FILE={"port", "key", "cert", "ca"} the same server listens on
// https as well, and asks for client certificates (RFC 8705 §2).
//
// stdin is its remote control and its lifeline. When it closes the server exits, so that it never outlives the test that
// started it. Its lines are
//
//   reload    read JWKS_FILE again without closing the port; the answer on stdout is "reloaded"
//   refresh   issue a refresh token, as a login would; the answer is "refresh" and the token

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createInterface } from 'node:readline';

import { Provider, errors } from 'oidc-provider';

const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;

// The APIs that tokens are for. The resource indicator (RFC 8707) is also the audience.
const resources = new Map([
  ['https://api.example/orders', 'jwt'],
  ['https://api.example/billing', 'jwt'],
  ['https://api.example/reports', 'opaque'],
  ['https://api.example/archive', 'opaque'],
]);
const scope = 'orders:read orders:write';

// One client for each signing algorithm: the client of a request decides how the token is signed.
const clientAlgorithms = new Map([
  ['client-rs256', 'RS256'],
  ['client-ps256', 'PS256'],
  ['client-es256', 'ES256'],
  ['client-eddsa', 'EdDSA'],
]);

function readJSON(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

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
  const accessTokenFormat = resources.get(indicator);
  if (!accessTokenFormat) {
    throw new errors.InvalidTarget();
  }
  return {
    scope,
    audience: indicator,
    accessTokenFormat,
    jwt: { sign: { alg: clientAlgorithms.get(clientId) } },
  };
}

// The certificate of a client, and whether it proves the registered identity of the client. A certificate that no CA of
// ours signed may itself be registered (self_signed_tls_client_auth).
const mTLS = {
  enabled: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.()?.toString(),
  certificateAuthorized: (ctx) => ctx.socket.authorized,
  certificateSubjectMatches: (ctx, property, expected) => property === 'tls_client_auth_san_dns'
    && ctx.socket.getPeerX509Certificate().subjectAltName === `DNS:${expected}`,
};

function newProvider() {
  return new Provider(issuer, {
    jwks: readJSON(process.env.JWKS_FILE),
    clients: [...[...clientAlgorithms.keys()].map(client), ...readJSON(process.env.CLIENTS_FILE)],
    clientAuthMethods: [
      'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
      'tls_client_auth', 'self_signed_tls_client_auth',
    ],
    scopes: ['offline_access', ...scope.split(' ')], // without it there are no refresh tokens
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      mTLS,
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
      revocation: { enabled: true },
    },
    ttl: { ClientCredentials: 600, Grant: 600, RefreshToken: 600 },
  });
}

// issueRefreshToken issues a refresh token as at the end of a login, without a browser.
async function issueRefreshToken() {
  const client = await provider.Client.find('client-rs256');
  const grant = new provider.Grant({ accountId: 'alice', clientId: client.clientId });
  grant.addResourceScope('https://api.example/reports', scope);
  const grantId = await grant.save();
  return new provider.RefreshToken({
    accountId: 'alice', client, grantId, gty: 'authorization_code', resource: 'https://api.example/reports', scope,
  }).save();
}

// A Provider's keys are fixed for its life, so a rotation replaces the whole Provider behind the same port. A request
// in flight ends with the Provider with which it began.
let provider = newProvider();
let handle = provider.callback();
const answer = (request, response) => handle(request, response);

createServer(answer).listen(port, '127.0.0.1', () => {
  if (!process.env.TLS_FILE) {
    console.log('ready');
    return;
  }
  const { port: securePort, ...certificates } = readJSON(process.env.TLS_FILE);
  createSecureServer({ ...certificates, requestCert: true, rejectUnauthorized: false }, answer)
    .listen(securePort, '127.0.0.1', () => console.log('ready'));
});

createInterface({ input: process.stdin })
  .on('line', async (line) => {
    if (line === 'reload') {
      provider = newProvider();
      handle = provider.callback();
      console.log('reloaded');
    } else if (line === 'refresh') {
      console.log(`refresh ${await issueRefreshToken()}`);
    }
  })
  .on('close', () => process.exit(0));
