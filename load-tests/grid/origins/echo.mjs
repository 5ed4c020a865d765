// node: answers, and prints what node made of each request.
import {createHash} from 'node:crypto';
import {createServer} from 'node:http';

const server = createServer((request, response) => {
  const hash = createHash('sha256');
  let length = 0;
  request.on('data', (piece) => {
    length += piece.length;
    hash.update(piece);
  });
  request.on('end', () => {
    const headers = [];
    for (let at = 0; at < request.rawHeaders.length; at += 2) {
      headers.push([request.rawHeaders[at], request.rawHeaders[at + 1]]);
    }
    const path = new URL(request.url, 'http://localhost').pathname;
    const echo = {method: request.method, target: request.url, path, headers, length, digest: hash.digest('hex')};
    process.stdout.write(`${JSON.stringify(echo)}\n`);
    response.end('ok');
  });
});
server.on('clientError', (error, socket) => {
  if (error.code !== 'ECONNRESET') process.stdout.write(`${JSON.stringify({declined: String(error.code)})}\n`);
  socket.destroy();
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
