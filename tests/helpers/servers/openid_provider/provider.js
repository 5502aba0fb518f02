// An OpenID provider as a process of its own: node provider.js, with its configuration as one JSON object on stdin.
// It prints its port once it listens. Whoever signs in as "anna-approver" is that account, with the role after the last
// hyphen; a client called "job-viewer" has that role in the tokens that it gets for itself.
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { Provider } from 'oidc-provider';

const config = JSON.parse(readFileSync(0, 'utf8'));
const rolesOf = (name) => (name.includes('-') ? [name.split('-').at(-1)] : []);

const server = createServer();
server.listen(config.port, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: config.jwks,
    cookies: { keys: ['only for tests'] },
    clients: [
      {
        client_id: 'console',
        client_secret: config.client_secret,
        // Native: its address may have any port of this machine (RFC 8252, 7.3).
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/console/sign-in/callback', 'http://localhost/console/sign-in/callback'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
      ...['viewer', 'approver', 'operator', 'nobody'].map((role) => ({
        client_id: `job-${role}`,
        client_secret: config.client_secret,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      })),
    ],
    pkce: { required: () => true },
    claims: { openid: ['sub', 'name'], roles: ['roles'] },
    scopes: ['openid', 'roles'],
    // As providers do by default: what is not the identity itself is told on request, by the userinfo endpoint.
    conformIdTokenClaims: config.roles_in_id_token !== true,
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, name: `Name of ${sub}`, roles: rolesOf(sub) }) }),
    extraTokenClaims: (_, token) => ({ roles: rolesOf(token.accountId ?? token.clientId) }),
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          scope: 'orders',
          audience,
          accessTokenTTL: config.token_seconds,
          accessTokenFormat: 'jwt',
        }),
      },
    },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${port}\n`);
});
