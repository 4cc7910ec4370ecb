// Decodes with Anchor's coder what our codec has written. Standard input: {"idl": ..., "items": [{"kind", "data"}]},
// data in base64; standard output: [{"name", "data"}], numbers as decimal strings, keys in base58, bytes as arrays.
const { BorshCoder } = require("@coral-xyz/anchor");
const { PublicKey } = require("@solana/web3.js");

const { idl, items } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

const plain = (value) => {
  if (value instanceof PublicKey) return value.toBase58();
  if (value && typeof value === "object" && typeof value.toArrayLike === "function") return value.toString(10);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value, plain);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return typeof value === "number" ? value.toString(10) : value;
};

const decode = {
  account: (coder, bytes) => {
    const named = idl.accounts.find(({ discriminator }) => bytes.subarray(0, 8).equals(Buffer.from(discriminator)));
    return { name: named.name, data: coder.accounts.decode(named.name, bytes) };
  },
  event: (coder, bytes) => coder.events.decode(bytes.toString("base64")),
  instruction: (coder, bytes) => coder.instruction.decode(bytes),
};

const coder = new BorshCoder(idl);
process.stdout.write(JSON.stringify(items.map(({ kind, data }) => plain(decode[kind](coder, Buffer.from(data, "base64"))))));
