// Canonical JSON as a Node.js program writes it: keys sorted by UTF-16 code unit, primitives by JSON.stringify.
// Reads a JSON text on each line and prints its form on a line.

import { readFileSync } from "node:fs";

function form(value) {
  if (Array.isArray(value)) {
    return `[${value.map(form).join(",")}]`;
  }
  if (value !== null && typeof value === "object") {
    const members = Object.keys(value)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${form(value[key])}`);
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}

const lines = readFileSync(0, "utf8").split("\n").slice(0, -1);
process.stdout.write(lines.map((line) => `${form(JSON.parse(line))}\n`).join(""));
