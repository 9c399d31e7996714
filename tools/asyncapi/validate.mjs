// Validates an AsyncAPI document with the parser of the AsyncAPI project; exit code 1 and every fault when it is not sound.
//
//   node tools/asyncapi/validate.mjs contract/asyncapi.yaml

import { Parser, fromFile } from "@asyncapi/parser";

const WARNING = 1; // 0 is an error, 2 and 3 are hints.
const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
const faults = diagnostics.filter((each) => each.severity <= WARNING);
for (const { path, message, range } of faults) console.error(`line ${range.start.line + 1}, ${path.join("/")}: ${message}`);
process.exit(document && faults.length === 0 ? 0 : 1);
