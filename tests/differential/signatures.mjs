// Reads {signers, cases} and prints {keys, verdicts}: what Node.js makes of the keys of a signers.json, and whether it
// accepts each signature over SHA-256(message).

import { createHash, createHmac, createPublicKey, constants, timingSafeEqual, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const { signers, cases } = JSON.parse(readFileSync(0, "utf8"));

function load(text) {
  return text.startsWith("-----BEGIN")
    ? createPublicKey(text)
    : createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
}

const byId = new Map(
  signers.map((signer) => [signer.signerId, { ...signer, loaded: signer.publicKey ? load(signer.publicKey) : null }]),
);

function accepts({ algorithm, loaded, key }, message, signature) {
  const digest = createHash("sha256").update(message).digest();
  switch (algorithm) {
    case "rsa-sha256":
      return verify("sha256", message, { key: loaded, padding: constants.RSA_PKCS1_PADDING }, signature);
    case "rsa-pss-sha256":
      return verify("sha256", message, { key: loaded, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, signature);
    case "ecdsa-p256-sha256":
      return verify("sha256", message, { key: loaded, dsaEncoding: "der" }, signature);
    case "hmac-sha256": {
      const mac = createHmac("sha256", key).update(digest).digest();
      return mac.length === signature.length && timingSafeEqual(mac, signature);
    }
    default:
      return verify(null, digest, loaded, signature);
  }
}

function verdict({ signer, message, signature }) {
  try {
    return accepts(byId.get(signer), Buffer.from(message, "hex"), Buffer.from(signature, "base64"));
  } catch {
    return false;
  }
}

const keys = Object.fromEntries(
  [...byId.values()]
    .filter(({ loaded }) => loaded)
    .map(({ signerId, loaded }) => [
      signerId,
      {
        type: loaded.asymmetricKeyType,
        fingerprint: createHash("sha256").update(loaded.export({ format: "der", type: "spki" })).digest("hex"),
      },
    ]),
);
process.stdout.write(JSON.stringify({ keys, verdicts: cases.map(verdict) }));
