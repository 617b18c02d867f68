// Runs in every document before the page's own scripts. SEED is an unsigned 32-bit number.
(() => {
  const send = globalThis.__mondoReport;
  delete globalThis.__mondoReport;
  const encode = JSON.stringify;

  // One seed, one sequence: the same page with the same seed must do the same things (mulberry32).
  let state = SEED >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  Math.random = function random() {
    return next() / 4294967296;
  };
  if (globalThis.crypto) {
    Crypto.prototype.getRandomValues = function getRandomValues(array) {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let index = 0; index < bytes.length; index += 1) bytes[index] = next() & 255;
      return array;
    };
    Crypto.prototype.randomUUID = function randomUUID() {
      const hex = Array.from({ length: 32 }, () => (next() & 15).toString(16));
      hex[12] = "4";
      hex[16] = "89ab"[next() & 3];
      return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    };
  }

  // The browser blurs this clock by a tenth of a millisecond, differently in every process.
  const now = Performance.prototype.now;
  Performance.prototype.now = function () {
    return Math.round(now.call(this));
  };
  const request = globalThis.requestAnimationFrame;
  globalThis.requestAnimationFrame = function requestAnimationFrame(callback) {
    const rounded = typeof callback === "function" ? (time) => callback(Math.round(time)) : callback;
    return request.call(globalThis, rounded);
  };

  // A page that handles its own error events keeps them from the browser's report. These listeners are the
  // first in line, so the page cannot keep an event from them.
  const text = (value) => {
    try {
      return String((value && value.stack) || value);
    } catch {
      return "a value without a text";
    }
  };
  addEventListener("error", (event) => {
    if (!(event instanceof ErrorEvent)) return;
    send(encode(["error", event.error ? text(event.error) : event.message, event.filename, event.lineno, event.colno]));
  }, true);
  addEventListener("unhandledrejection", (event) => {
    send(encode(["rejection", text(event.reason), "", 0, 0]));
  }, true);
})();
