// SPDX-License-Identifier: Apache-2.0
// Node's `ws` as a client: scenarios as JSON on standard input, what it saw on standard output.

import { text } from "node:stream/consumers";
import { WebSocket } from "ws";
import { play } from "./session.mjs";

function connect(url, protocols, tell) {
  const socket = new WebSocket(url, protocols);
  // What it gets to know beyond the WebSocket API.
  socket.on("pong", (payload) => tell({ pong: payload.toString() }));
  socket.on("unexpected-response", (request, response) => {
    tell({ refused: response.statusCode });
    request.destroy();
  });
  socket.on("error", ({ message }) => {
    if (message === "Server sent no subprotocol") tell({ refused: "no subprotocol" });
  });
  return socket;
}

const scenarios = Object.entries(JSON.parse(await text(process.stdin)));
const seen = scenarios.map(async ([name, scenario]) => [name, await play(scenario, connect)]);
console.log(JSON.stringify(Object.fromEntries(await Promise.all(seen))));
