// A real Postgres with pgvector for a test: node postgres.mjs PORT FOLDER. Says "listening on PORT"
// once it can be asked; what it holds stays in FOLDER.
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const [port, folder] = process.argv.slice(2);
const db = await PGlite.create({ dataDir: folder, extensions: { vector } });
const server = new PGLiteSocketServer({
  db,
  port: Number(port),
  host: '127.0.0.1',
  maxConnections: 16,
});
server.addEventListener('listening', (event) => {
  console.log(`listening on ${event.detail?.port ?? port}`);
});
await server.start();
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => {
    await server.stop();
    await db.close();
    process.exit(0);
  });
}
