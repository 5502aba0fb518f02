// A gateway before Temporal as its cloud has one: by TLS, and for those alone whose API key is among the lines of a file,
// which is read again for each call. node key_door.js, with its configuration as one JSON object on stdin. It prints its
// port once it listens.
import { connect, createSecureServer, constants } from 'node:http2';
import { readFileSync } from 'node:fs';

const config = JSON.parse(readFileSync(0, 'utf8'));
const UNAUTHENTICATED = '16';
const isKnown = (header) => readFileSync(config.keys, 'utf8').split('\n').some((key) => key && header === `Bearer ${key}`);

const server = createSecureServer({ cert: readFileSync(config.cert), key: readFileSync(config.key) });
const target = connect(`http://${config.target}`);
target.on('error', () => process.exit(1));
server.on('sessionError', () => {});
server.on('stream', (incoming, headers) => {
  incoming.on('error', () => {});
  if (!isKnown(headers.authorization)) {
    const status = { 'grpc-status': UNAUTHENTICATED, 'grpc-message': 'Request unauthorized.' };
    incoming.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true });
    incoming.resume();
    return;
  }
  const onward = { ...headers };
  delete onward.authorization;
  const outgoing = target.request(onward);
  outgoing.on('error', () => incoming.close(constants.NGHTTP2_INTERNAL_ERROR));
  incoming.on('aborted', () => outgoing.close(constants.NGHTTP2_CANCEL));
  let trailers = {};
  outgoing.on('response', (answer, flags) => {
    const isAll = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    incoming.respond(answer, isAll ? { endStream: true } : { waitForTrailers: true });
  });
  outgoing.on('trailers', (found) => { trailers = found; });
  incoming.on('wantTrailers', () => incoming.sendTrailers(trailers));
  incoming.pipe(outgoing);
  outgoing.pipe(incoming);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
