// Runs in every worker before its own script. A worker's clock is the real one, which runs far behind the page's; here
// it gets the page's: its timers run when the driver says that time has passed. SEED is an unsigned 32-bit number.
(() => {
  let state = SEED >>> 0;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  Math.random = { random() { return random() / 4294967296; } }.random;
  Crypto.prototype.getRandomValues = function getRandomValues(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = random() & 255;
    return array;
  };
  Crypto.prototype.randomUUID = function randomUUID() {
    const hex = Array.from({ length: 32 }, () => (random() & 15).toString(16));
    hex[12] = "4";
    hex[16] = "89ab"[random() & 3];
    return hex.join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  };
  for (const [name, value] of [["hardwareConcurrency", 4], ["deviceMemory", 8]]) {
    const own = Object.getOwnPropertyDescriptor(WorkerNavigator.prototype, name);
    if (own) Object.defineProperty(WorkerNavigator.prototype, name, { ...own, get: { get() { return value; } }.get });
  }

  const started = START;
  const looksMax = 20000;
  let time = 0, looks = 0, ahead = 0;
  // The clock stands still while a script runs; one that waits for it in a loop is let go, as in init.js.
  const clock = () => {
    looks += 1;
    if (looks > looksMax) ahead += 1;
    return Math.round(time + ahead);
  };
  Performance.prototype.now = function now() { return clock(); };
  Date.now = function now() { return started + clock(); };
  globalThis.Date = new Proxy(Date, {
    construct: (made, values, by) => Reflect.construct(made, values.length ? values : [started + clock()], by),
  });
  Date.prototype.constructor = Date;

  const timers = new Map();
  let last = 0;
  const start = (callback, delay, values, every) => {
    last += 1;
    const wait = Math.max(every ? 1 : 0, Number(delay) || 0);
    timers.set(last, { callback, values, due: time + wait, every: every ? wait : null, number: last });
    return last;
  };
  globalThis.setTimeout = function setTimeout(callback, delay, ...values) { return start(callback, delay, values, false); };
  globalThis.setInterval = function setInterval(callback, delay, ...values) { return start(callback, delay, values, true); };
  globalThis.clearTimeout = globalThis.clearInterval = function clear(number) { timers.delete(number); };

  const call = (timer) => {
    try {
      if (typeof timer.callback === "function") Reflect.apply(timer.callback, globalThis, timer.values);
      else (0, eval)(String(timer.callback));
    } catch (error) {
      // As the browser would: the worker's own listeners first, then the page's.
      reportError(error);
    }
  };
  // One task each, so that promises settle between two timers.
  const next = (until, left) => new Promise((done) => {
    const due = [...timers.values()].filter((timer) => timer.due <= until).sort((a, b) => a.due - b.due || a.number - b.number)[0];
    if (!due || left === 0) return done();
    [time, looks, ahead] = [Math.max(time, due.due), 0, 0];
    if (due.every === null) timers.delete(due.number);
    else due.due = time + due.every;
    call(due);
    channel.port1.onmessage = () => done(next(until, left - 1));
    channel.port2.postMessage(0);
  });
  const channel = new MessageChannel();
  const advance = (ms) => {
    const until = time + ms;
    return next(until, 200).then(() => { [time, looks, ahead] = [until, 0, 0]; });
  };
  Object.defineProperty(globalThis, "__mondoPass", { value: advance });
})();
