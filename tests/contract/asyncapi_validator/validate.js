// Reads a JSON array of AsyncAPI documents from stdin; writes, for each, an array of what the validator says of it.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';

const parser = new Parser();
const said = [];
for (const document of JSON.parse(readFileSync(0, 'utf8'))) {
  const diagnostics = await parser.validate(JSON.stringify(document));
  said.push(diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join('.') })));
}
process.stdout.write(JSON.stringify(said));
