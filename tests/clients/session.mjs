// SPDX-License-Identifier: Apache-2.0
// A client that has the WebSocket API: a browser's page, or Node's `ws`. See scenarios.py.

const PATIENCE_MS = 30_000;

// Plays a scenario; resolves to what was seen. `connect` makes a WebSocket of a URL and subprotocols.
export async function play(scenario, connect) {
  const seen = [];
  const events = [];
  let wake = () => {};
  let ended = false;
  const tell = (event) => {
    if (!ended) events.push(event);
    ended ||= "closed" in event || "refused" in event;
    wake();
  };
  const receive = async () => {
    if (events.length === 0) {
      let patience;
      await new Promise((resolve) => {
        wake = resolve;
        patience = setTimeout(resolve, PATIENCE_MS);
      });
      clearTimeout(patience);
    }
    const event = events.shift() ?? { nothing: "in time" };
    seen.push(event);
    return event;
  };

  const socket = connect(scenario.url, scenario.protocols, tell);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => tell({ open: { protocol: socket.protocol, extensions: socket.extensions } });
  socket.onmessage = ({ data }) =>
    tell(typeof data === "string" ? { text: data } : { binary: toHex(data) });
  socket.onclose = ({ code, reason, wasClean }) => tell({ closed: { code, reason, clean: wasClean } });
  socket.onerror = () => {}; // A close follows.

  if (!("open" in (await receive()))) return seen;
  for (const step of scenario.steps) {
    const [[what, value]] = Object.entries(step);
    switch (what) {
      case "text":
        socket.send(value);
        break;
      case "binary":
        socket.send(fromHex(value));
        break;
      case "ping":
        socket.ping(value);
        break;
      case "close":
        if (value.code === null) socket.close();
        else socket.close(value.code, value.reason);
        break;
      case "wait":
        await new Promise((resolve) => setTimeout(resolve, value));
        break;
      case "receive":
        for (let left = value; left > 0 && !(ended && events.length === 0); left--) await receive();
        break;
      default:
        throw new Error(`no such step: ${what}`);
    }
  }
  if (!ended) socket.close();
  return seen.concat(events);
}

function toHex(buffer) {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(hex) {
  const bytes = new Uint8Array(hex.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(hex.substr(2 * at, 2), 16);
  return bytes;
}
