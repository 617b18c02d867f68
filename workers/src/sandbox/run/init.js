// Runs in every document before the page's own scripts, and before listeners.js, which is told nothing of the
// listeners here. SEED is an unsigned 32-bit number, FINGERLESS whether the page never asks a touch for its fingers.
(() => {
  const send = globalThis.__mondoReport;
  const encode = JSON.stringify;
  // The browser's own, also when the page declares something of its own by such a name.
  const { Array, getComputedStyle, DOMRect, DOMRectReadOnly, Element, Error, ErrorEvent, HTMLCanvasElement, HTMLInputElement, Map, Math, MouseEvent, Object, Reflect, Set, String, TouchEvent, UIEvent, Uint8Array, WeakMap, performance } = globalThis;

  // By this the console's scripts tell our listeners from the page's own.
  const listen = (type, listener) => addEventListener(type, Object.assign(listener, { watches: true }), true);

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
  // What the machine is like is none of the page's business, or it would start as many workers as there are cores here.
  const constant = (name, value) => {
    const own = Object.getOwnPropertyDescriptor(Navigator.prototype, name);
    if (own) Object.defineProperty(Navigator.prototype, name, { ...own, get: { get() { return value; } }.get });
  };
  constant("hardwareConcurrency", 4);
  constant("deviceMemory", 8);

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

  // The browser blurs this clock by a tenth of a millisecond, differently in every process. It also stands still while
  // a script runs, so a page that waits in a loop for time to pass would wait for ever: after very many looks in
  // one moment each look takes a millisecond.
  const now = Performance.prototype.now;
  const { now: today } = Date;
  const looksMax = 20000;
  let moment = 0, looks = 0, ahead = 0, latest = 0;
  // How far ahead it was when the page was last used: several uses in one moment are not one long wait.
  let used = 0;
  const clock = () => {
    const time = Math.round(now.call(performance));
    if (time !== moment) {
      ahead = Math.max(0, latest - time);
      [moment, looks, used] = [time, 0, ahead];
    }
    looks += 1;
    if (looks > looksMax) ahead += 1;
    if (ahead === used + 500) note("frozen", "");
    latest = Math.max(latest, time + ahead);
    return latest;
  };
  Performance.prototype.now = function () {
    return clock();
  };
  const date = () => {
    const ticks = clock();
    return today.call(Date) + ticks - moment;
  };
  Date.now = { now() { return date(); } }.now;
  globalThis.Date = new Proxy(Date, {
    construct: (made, values, by) => Reflect.construct(made, values.length ? values : [date()], by),
  });
  Date.prototype.constructor = Date;
  // A page that asks for frame after frame animates something. In the main document its callbacks run on timers at
  // the driver's pace: a drawn frame costs more than most callbacks do, and most need not be drawn. Their
  // numbers are far from those of the page's timers, for a page may cancel the one by the number of the other.
  const { setTimeout: later, clearTimeout: never, requestAnimationFrame: request, cancelAnimationFrame: cancel } = globalThis;
  const numbersFrom = 2 ** 30;
  const main = globalThis === globalThis.top;
  let pace = 16;
  let requested = 0;
  // How many paths of lines were drawn in this frame and in the one before, and how many had no place.
  let paths = { drawn: 0, lost: 0 }, before = paths;
  addEventListener("__mondoPace", (event) => {
    pace = event.detail;
  });
  // How often something was drawn, or written into the document since that is watched.
  let draws = 0;
  const { MutationObserver, document } = globalThis;
  addEventListener("mondo:watch", () => {
    const count = (changes) => {
      draws += changes.length;
    };
    new MutationObserver(count).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  }, { once: true });
  // What the page as a whole wears: the colours of its theme, and what it is called, which changes before they do. And what
  // could be read before it was used, with the colours of then, for audit.js.
  const worn = () => {
    const wholes = [document.documentElement, document.body].filter(Boolean);
    const styles = wholes.map((element) => getComputedStyle(element));
    const names = wholes.map((element) => `${element.getAttribute("class")} ${element.getAttribute("data-theme")}`);
    return { colours: styles.map(({ color, backgroundColor }) => `${color} ${backgroundColor}`).join(), names: names.join().replace(/\d/g, "") };
  };
  const legible = new Map();
  addEventListener("mondo:beats", ({ detail }) => {
    used = ahead;
    Object.assign(detail, { beats: requested, draws, doubled, doubledBy, repeats, legible, worn, isEmptied: (canvas) => emptied.has(canvas), later: (task, ms) => later.call(globalThis, task, ms) });
  });
  // The functions that wait for a frame, how often each, and how often one asked for itself that waited already: a loop
  // that was started while it ran does that in each frame. The same for what is repeated by timers, by their numbers.
  const waiting = new Map(), numbers = new Map(), repeated = new Map();
  let running = null, doubled = 0, doubledBy = "";
  // The frame for which it was called last, counted from 1, and when.
  let frame = 0, frameAt = -1;
  // How many callbacks have come in a row while another was waited for.
  let inARow = 0;
  // Waits for what was drawn in it, where that takes its time, and notes that something was left out.
  let awaited = null, leftOut = null;
  const nameOf = (handler) => {
    try {
      return String(handler.name).slice(0, 40) || "a function";
    } catch {
      return "a function";
    }
  };
  const waits = (callback, by) => {
    const times = (waiting.get(callback) ?? 0) + by;
    if (times > 0) waiting.set(callback, times);
    else waiting.delete(callback);
    return times;
  };
  const repeats = () => {
    const entries = [...repeated.values()].slice(0, 100);
    const twice = entries.find((entry, index) => entries.findIndex((other) => other.handler === entry.handler && other.ms === entry.ms) < index);
    return twice ? nameOf(twice.handler) : "";
  };
  globalThis.requestAnimationFrame = function requestAnimationFrame(callback) {
    requested += 1;
    [before, paths] = [paths, { drawn: 0, lost: 0 }];
    if (requested === 4) send(encode(["animates", "", "", 0, 0]));
    if (typeof callback !== "function") return request.call(globalThis, callback);
    if (!main) return request.call(globalThis, (time) => callback(Math.round(time)));
    if (waits(callback, 1) > 1 && running === callback) [doubled, doubledBy] = [doubled + 1, nameOf(callback)];
    const number = numbersFrom + later.call(globalThis, () => {
      numbers.delete(number);
      waits(callback, -1);
      const time = performance.now();
      if (time !== frameAt) [frame, frameAt] = [frame + 1, time];
      running = callback;
      try {
        callback(time);
      } finally {
        running = null;
        awaited?.();
        leftOut?.();
        inARow = waiting.size ? inARow + 1 : 0;
        awaited = leftOut = null;
      }
    }, pace);
    numbers.set(number, callback);
    return number;
  };
  globalThis.cancelAnimationFrame = function cancelAnimationFrame(number) {
    if (numbers.has(number)) waits(numbers.get(number), -1);
    numbers.delete(number);
    if (number >= numbersFrom) never.call(globalThis, number - numbersFrom);
    else cancel.call(globalThis, number);
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
  // Nothing is lost by that: an observer is told of another size with the next frame.
  const isLate = ({ error, message }) => !error && message.startsWith("ResizeObserver loop");
  listen("error", (event) => {
    if (!(event instanceof ErrorEvent) || isLate(event)) return;
    send(encode(["error", event.error ? text(event.error) : event.message, event.filename, event.lineno, event.colno]));
  });
  listen("unhandledrejection", (event) => {
    send(encode(["rejection", text(event.reason), "", 0, 0]));
  });

  // What is refused to a sandboxed page, and shaders that fail without a word. The stack says where.
  let notes = 0;
  const note = (kind, words) => {
    notes += 1;
    if (notes <= 50) send(encode([kind, words + "\n" + new Error().stack, "", 0, 0]));
  };
  const wrap = (holder, name, around) => {
    const own = holder && Object.getOwnPropertyDescriptor(holder, name);
    if (!own || !own.configurable) return;
    const key = own.get ? "get" : "value";
    const call = own[key];
    own[key] = { [name](...values) { return around(this, values, () => Reflect.apply(call, this, values)); } }[name];
    Object.defineProperty(holder, name, own);
  };
  // Input bears the real time, which is none of the page's: it happens when the page is told of it, and listeners.js
  // is told before the page. Other events bear the page's time, blurred.
  const told = new WeakMap();
  wrap(Event.prototype, "timeStamp", (event, values, go) => {
    const stamp = Math.round(go());
    if (!(event.isTrusted && event instanceof UIEvent)) return stamp;
    if (!told.has(event)) told.set(event, clock());
    return told.get(event);
  });
  const refused = (holder, name, words) => wrap(holder, name, (self, values, go) => {
    note("policy", words);
    return go();
  });
  for (const name of ["setTimeout", "setInterval"]) {
    wrap(globalThis, name, (self, [handler, ms, ...given], go) => {
      if (typeof handler === "string") note("evaluated", "");
      const number = go();
      // With something to go by, each may be for another.
      if (name === "setInterval" && typeof handler === "function" && !given.length) repeated.set(number, { handler, ms });
      return number;
    });
  }
  // Either ends what the other is meant for.
  for (const name of ["clearTimeout", "clearInterval"]) {
    wrap(globalThis, name, (self, [number], go) => {
      repeated.delete(Number(number));
      return go();
    });
  }
  // Nobody takes what is sent to a worker that has been ended.
  const gone = new WeakMap();
  const { Worker } = globalThis;
  wrap(Worker?.prototype, "terminate", (self, values, go) => {
    if (!gone.has(self)) gone.set(self, now.call(performance));
    return go();
  });
  wrap(Worker?.prototype, "postMessage", (self, values, go) => {
    // In the same moment, it may be the last of what is done to end it.
    if (now.call(performance) > gone.get(self)) note("unheard", "");
    return go();
  });
  const { Document, IDBFactory, CacheStorage, MediaDevices, Geolocation, Notification } = globalThis;
  for (const name of ["localStorage", "sessionStorage"]) refused(globalThis, name, name);
  refused(Document && Document.prototype, "cookie", "document.cookie");
  refused(IDBFactory && IDBFactory.prototype, "open", "indexedDB.open");
  refused(CacheStorage && CacheStorage.prototype, "open", "caches.open");
  for (const name of ["getUserMedia", "getDisplayMedia"]) refused(MediaDevices && MediaDevices.prototype, name, name);
  for (const name of ["getCurrentPosition", "watchPosition"]) refused(Geolocation && Geolocation.prototype, name, "geolocation." + name);
  refused(Notification, "requestPermission", "Notification.requestPermission");

  GRAPHICS;

  // A touch has no place, its fingers have. Where the page never asks for those, nobody misses what is added here.
  for (const name of FINGERLESS ? ["clientX", "pageX", "offsetX", "screenX"] : []) {
    const get = () => note("fingerless", name);
    Object.defineProperty(TouchEvent.prototype, name, { configurable: true, get });
  }

  // What a colour or a date is picked from is a window of its own. Nothing draws it here, and while it is open nothing
  // else is drawn either; the driver gives such fields their values itself.
  HTMLInputElement.prototype.showPicker = function showPicker() {};
  listen("click", (event) => {
    const [clicked] = event.composedPath();
    if (clicked instanceof HTMLInputElement && ["color", "file"].includes(clicked.type)) event.preventDefault();
  });

  // Sound has a clock of its own, which is the real one: when a tone has ended is held back until the page is given
  // real time, or it would be told now in one moment of the page and now in another.
  const ended = [];
  let isReal = false;
  const held = (listener) => function (event) {
    if (!isReal) ended.push(() => Reflect.apply(listener, this, [event]));
    else return Reflect.apply(listener, this, [event]);
  };
  const { AudioScheduledSourceNode } = globalThis;
  if (AudioScheduledSourceNode) {
    const own = Object.getOwnPropertyDescriptor(AudioScheduledSourceNode.prototype, "onended");
    const { set } = own;
    own.set = function (listener) {
      Reflect.apply(set, this, [typeof listener === "function" ? held(listener) : listener]);
    };
    Object.defineProperty(AudioScheduledSourceNode.prototype, "onended", own);
    const add = EventTarget.prototype.addEventListener;
    AudioScheduledSourceNode.prototype.addEventListener = function addEventListener(type, listener, options) {
      const waits = type === "ended" && typeof listener === "function";
      return Reflect.apply(add, this, [type, waits ? held(listener) : listener, options]);
    };
  }
  addEventListener("mondo:real", () => {
    isReal = true;
    for (const tell of ended) setTimeout(tell);
  }, { once: true });
})();
