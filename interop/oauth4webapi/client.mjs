// Reads requests as JSON from stdin, sends one after the other, and writes the result of each as JSON to stdout.
import { text } from 'node:stream/consumers'
import * as oauth from 'oauth4webapi'

const { as, questions } = JSON.parse(await text(process.stdin))
const http = { [oauth.allowInsecureRequests]: true } // on loopback

const authentication = {
  client_secret_basic: oauth.ClientSecretBasic,
  client_secret_post: oauth.ClientSecretPost,
}

async function introspect(client, auth, { token, algorithm }) {
  client.introspection_signed_response_alg = algorithm
  const response = await oauth.introspectionRequest(as, client, auth, token, { ...http, requestJwtResponse: Boolean(algorithm) })
  const type = response.headers.get('content-type')
  const answer = await oauth.processIntrospectionResponse(as, client, response)
  if (algorithm) {
    await oauth.validateApplicationLevelSignature(as, response, http)
  }
  return { type, answer }
}

async function revoke(client, auth, { token }) {
  const response = await oauth.revocationRequest(as, client, auth, token, {
    ...http, additionalParameters: { token_type_hint: 'access_token' },
  })
  await oauth.processRevocationResponse(response)
  return { status: response.status }
}

async function ask(question) {
  const auth = authentication[question.method](question.secret)
  try {
    return await { introspect, revoke }[question.ask]({ client_id: question.client }, auth, question)
  } catch (e) {
    const challenge = e instanceof oauth.WWWAuthenticateChallengeError ? e.cause[0] : undefined
    return {
      status: e.status ?? e.cause?.status, code: e.code, message: e.message, error: e.error,
      scheme: challenge?.scheme, realm: challenge?.parameters.realm,
    }
  }
}

const results = []
for (const question of questions) {
  results.push(await ask(question))
}
console.log(JSON.stringify(results))
