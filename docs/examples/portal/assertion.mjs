// Checks the gateway's assertion with nothing but what Node 18 or newer has built in.
import { createPublicKey, verify } from "node:crypto";

const MAX_CHARS = 4096;
const MAX_SET_BYTES = 16384;
const LEEWAY = 5;
const REFRESH_MS = 300_000;
const KEEP_MS = 900_000;
const RETRY_MS = 5_000;
const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}$/;

/**
 * Returns a function that takes the value of the X-CPS-Assertion header and gives the claims, or
 * throws: then answer 403 and nothing else.
 * gateway: its origin. audience: portal.audience of its settings.
 * fetchKeys: gives the key set as text; by default it is asked for over https.
 */
export function assertionVerifier({ gateway, audience, fetchKeys, now = Date.now }) {
  const load = fetchKeys ?? (() => fetchKeySet(`${gateway}/_cps/.well-known/jwks.json`));
  let keys = new Map();
  let goodAt = -Infinity;
  let triedAt = -Infinity;
  let fetching = null;

  function refresh() {
    fetching ??= (async () => {
      triedAt = now();
      try {
        keys = readKeySet(await load());
        goodAt = triedAt;
      } catch {
        // The keys that are known serve until they are too old.
      } finally {
        fetching = null;
      }
    })();
    return fetching;
  }

  async function keyNamed(kid) {
    const known = () => (now() - goodAt > KEEP_MS ? undefined : keys.get(kid));
    const mayTry = () => fetching !== null || now() - triedAt >= RETRY_MS;
    if (known() === undefined && mayTry()) await refresh();
    else if (now() - goodAt > REFRESH_MS && mayTry()) refresh();
    const key = known();
    if (key === undefined) throw new Error("no such key");
    return key;
  }

  return async function requireProfessional(assertion) {
    // Node joins repeated headers with ", ", which has not the form.
    if (typeof assertion !== "string" || assertion.length > MAX_CHARS || !FORM.test(assertion)) {
      throw new Error("no assertion");
    }
    const [head, body, signature] = assertion.split(".");
    const header = parse(head);
    if (
      header.alg !== "ES256" || header.typ !== "JWT" || typeof header.kid !== "string" ||
      Object.keys(header).length !== 3
    ) {
      throw new Error("another header");
    }
    const key = await keyNamed(header.kid);
    const raw = Buffer.from(signature, "base64url");
    const good = verify("sha256", Buffer.from(`${head}.${body}`), { key, dsaEncoding: "ieee-p1363" }, raw);
    if (!good || raw.toString("base64url") !== signature) throw new Error("bad signature");
    const claims = parse(body);
    requireMeantForNow(claims, gateway, audience, now() / 1000);
    return claims;
  };
}

function requireMeantForNow(claims, gateway, audience, seconds) {
  const { iss, aud, sub, iat, nbf, exp } = claims;
  const fits =
    iss === gateway && aud === audience &&
    [iat, nbf, exp].every((time) => Number.isSafeInteger(time) && time >= 0) &&
    nbf - LEEWAY <= seconds && seconds < exp + LEEWAY &&
    iat <= exp && exp <= iat + 60 && iat <= seconds + LEEWAY;
  const { SubjectNameID, given_name, family_name, card_type } = claims;
  const named = [SubjectNameID, given_name, family_name, card_type].every(
    (text) => typeof text === "string" && text !== "",
  );
  if (!fits || !named || sub !== `cps:${SubjectNameID}`) throw new Error("other claims");
}

function parse(part) {
  const value = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("no object");
  return value;
}

function readKeySet(text) {
  if (Buffer.byteLength(text) > MAX_SET_BYTES) throw new Error("key set too large");
  const keys = new Map();
  for (const { kty, crv, x, y, alg, use, kid } of JSON.parse(text).keys) {
    if (kty === "EC" && crv === "P-256" && alg === "ES256" && use === "sig" && typeof kid === "string") {
      keys.set(kid, createPublicKey({ key: { kty, crv, x, y }, format: "jwk" }));
    }
  }
  if (keys.size === 0) throw new Error("no key");
  return keys;
}

async function fetchKeySet(address) {
  const answer = await fetch(address, { redirect: "error", signal: AbortSignal.timeout(3000) });
  if (!answer.ok) throw new Error(`key set: status ${answer.status}`);
  return answer.text();
}
