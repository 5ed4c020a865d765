// Bodies in base64, one a line. `read`: what JSON.parse makes of each. `br`: each as brotli.
import { createInterface } from "node:readline";
import { brotliCompressSync } from "node:zlib";

const BOUNDS = ["max_tokens", "temperature", "seed"];

function* strings(value) {
  if (typeof value === "string") yield value;
  else if (Array.isArray(value)) for (const each of value) yield* strings(each);
  else if (value && typeof value === "object") {
    for (const key of Object.keys(value)) {
      yield key;
      yield* strings(value[key]);
    }
  }
}

// Own members only: what a body says is not what a prototype says.
const get = (value, name) => (value && typeof value === "object" && Object.hasOwn(value, name) ? value[name] : null);

function read(body) {
  let document;
  try {
    document = JSON.parse(body.toString("utf8"));
    const messages = get(document, "messages");
    const contents = Array.isArray(messages) ? messages.map((message) => get(message, "content")) : [];
    // JSON has no word for infinity.
    const bounds = BOUNDS.map((name) => [name, typeof get(document, name) === "number" ? String(get(document, name)).replace("I", "i") : null]);
    return {
      model: get(document, "model"),
      bounds: Object.fromEntries(bounds),
      contents: contents.filter((text) => typeof text === "string"),
      strings: [...strings(document)],
    };
  } catch {
    return null;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const body = Buffer.from(line, "base64");
  console.log(process.argv[2] === "br" ? brotliCompressSync(body).toString("base64") : JSON.stringify(read(body)));
}
