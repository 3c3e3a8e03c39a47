// The official JavaScript client, driven by lines of JSON: what it hears goes to stdout, calls come on stdin.
//
//   node javascript_client.cjs '{"url": "…", "token": "…", "transports": ["websocket"]}'
//
// It does what docs/protocol.md asks of a client: presents its session again, opens again what that does not
// follow, and drops what is not above its cursor.
const readline = require("node:readline");
const { io } = require("socket.io-client");

const { url, token, transports } = JSON.parse(process.argv[2]);
const cursors = new Map();
let session;

function tell(name, data) {
  process.stdout.write(`${JSON.stringify([name, data ?? null])}\n`);
}

const auth = (give) => give({ token, session });
const socket = io(url, { transports, auth, reconnectionDelay: 200, reconnectionDelayMax: 1000 });

socket.on("connect", () => tell("connect", socket.io.engine.transport.name));
socket.on("disconnect", (reason) => tell("disconnect", reason));
for (const name of ["delta", "notice", "problem"]) socket.on(name, (data) => tell(name, data));
socket.on("session", (found) => {
  session = found.session;
  tell("session", found);
  for (const [conversation_id, after_seq] of cursors) {
    if (!(conversation_id in found.watching)) socket.emit("conversation.open", { conversation_id, after_seq });
  }
});
socket.on("event", (event) => {
  if (event.seq <= cursors.get(event.conversation_id)) return;
  cursors.set(event.conversation_id, event.seq);
  tell("event", event);
});

const calls = readline.createInterface({ input: process.stdin });
calls.on("line", async (line) => {
  const [name, data] = JSON.parse(line);
  if (name === "conversation.open") cursors.set(data.conversation_id, data.after_seq ?? 0);
  tell("answer", await socket.emitWithAck(name, data));
});
calls.on("close", () => socket.disconnect());
