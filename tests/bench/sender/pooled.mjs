// nodemailer with a pool, as a client that the bench of the sender runs beside it.
//
//   node pooled.mjs FOLDER PORT CONNECTIONS MESSAGES FILE [CA]
//
// FOLDER is where nodemailer is installed, FILE is the message, and with CA, a PEM file, TLS begins at once. It prints
// how long the messages took, and the CPU time of this process meanwhile. Before that connections are opened, and the
// compiler sees some messages.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, port, connections, messages, file, authority] = process.argv.slice(2);
const nodemailer = createRequire(`${folder}/`)("nodemailer");
const transport = nodemailer.createTransport({
  pool: true,
  host: "127.0.0.1",
  port: Number(port),
  maxConnections: Number(connections),
  maxMessages: Infinity,
  name: "bench.example.com",
  secure: authority !== undefined,
  ignoreTLS: authority === undefined,
  tls: authority === undefined ? undefined : { ca: readFileSync(authority) },
});
const message = {
  envelope: { from: "no-reply@example.com", to: ["somebody@example.org"] },
  raw: readFileSync(file),
};

// Twice as many as there are connections wait, so that none of these waits for work.
async function send(count) {
  let left = count;
  async function worker() {
    while (left-- > 0) await transport.sendMail(message);
  }
  await Promise.all(Array.from({ length: 2 * Number(connections) }, worker));
}

await send(Math.min(500, Number(messages) / 5 + Number(connections)));
const started = process.hrtime.bigint();
const before = process.cpuUsage();
await send(Number(messages));
const used = process.cpuUsage(before);
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
console.log(JSON.stringify({ seconds, cpu_seconds: (used.user + used.system) / 1e6 }));
transport.close();
