// Runs in every document before the page's own scripts, after init.js. Notes which events the page listens to on
// what, and which of them came there; tells when it is asked with an event. Nothing of the page's is replaced but the
// functions that register, and what writes markup where APPENDS says that the page adds to what is there: its listeners
// stay what they are.
(() => {
  const send = globalThis.__mondoReport;
  delete globalThis.__mondoReport;
  const encode = JSON.stringify;
  // As in init.js, the browser's own: a page may declare a `Node` or a `Map` of its own.
  const { Element, Error, Map, Node, Reflect, Set, String, WeakMap, performance } = globalThis;
  const register = EventTarget.prototype.addEventListener;
  const { setTimeout: later } = globalThis;
  const pathOf = Event.prototype.composedPath;
  const { get: stampOf } = Object.getOwnPropertyDescriptor(Event.prototype, "timeStamp");
  // What no use of a page brings about, and what only tells that it has failed or ends.
  const ignored = /^(error|unhandledrejection|rejectionhandled|securitypolicyviolation|messageerror|abort|stalled|beforeunload|unload|page(hide|swap|reveal)|freeze|resume|online|offline|storage|before(print|install).*|afterprint|mondo:.*)$/;
  const targetsMax = 1000;
  const known = new Map();
  const watched = new Set();

  const onType = (target, type) => typeof target.getAttribute === "function" && target.getAttribute(`on${type}`) !== null;
  const note = (target, type) => {
    if (!(target === globalThis || target instanceof Node) || ignored.test(type)) return;
    let types = known.get(target);
    if (!types) {
      if (known.size >= targetsMax) return;
      known.set(target, (types = new Map()));
    }
    if (!types.has(type)) types.set(type, false);
    watch(type);
  };
  // First in line at the outermost target, so no listener of the page's can keep an event from it.
  const watch = (type) => {
    if (watched.has(type)) return;
    watched.add(type);
    register.call(globalThis, type, came, { capture: true, passive: true });
  };
  // How often something was dragged over what listens to its drop, the last such event, and whether the page has ever
  // prevented one: only then can something be dropped.
  let overs = 0, over = null, allowed = false;
  const oversMin = 3;
  const look = () => {
    allowed ||= Boolean(over?.defaultPrevented);
    over = null;
  };
  // Whether a key moves the page under the game that it steers. The browser begins to scroll a few frames after the
  // key, so every key of the last moments that the page was told of and has not prevented may be the cause.
  const scrolls = ["ArrowUp", "ArrowDown", " "];
  let pressed = [];
  const noteKey = (event, path) => {
    // In a control, keys have a meaning of their own; in what is only pressed, the space bar has.
    const meant = "input,select,textarea" + (event.key === " " ? ",a,button,summary" : "");
    const isTold = path.some((target) => ["keydown", "keyup", "keypress"].some((type) => known.get(target)?.has(type)));
    const isFree = event.isTrusted && isTold && !event.target.matches?.(meant);
    if (isFree && scrolls.includes(event.key)) pressed = [...pressed.slice(-3), { event, at: performance.now() }];
  };
  // What was typed into a field last, and whether a listener of the page as a whole has kept it from the field: one of the field's
  // own means to.
  let typed = null;
  const lookAtTyped = () => {
    const { event, field, value, words } = typed ?? {};
    typed = null;
    if (!event?.defaultPrevented || field.value !== value || known.size >= targetsMax) return;
    if (field.checkVisibility({ visibilityProperty: true, opacityProperty: true })) send(encode(["typeless", event.key, words, 0, 0]));
  };
  const noteTyped = (event, path) => {
    const [field] = path;
    if (!event.isTrusted || !(field instanceof Element)) return;
    const writes = event.key.length === 1 && !event.ctrlKey && !event.metaKey;
    const isText = field.matches("textarea,input:not([type]),input[type=text],input[type=search],input[type=email]") && !field.readOnly;
    const roots = [globalThis, document, document.documentElement, document.body];
    const isOwn = path.some((target) => !roots.includes(target) && ["keydown", "keypress", "beforeinput"].some((type) => known.get(target)?.has(type)));
    if (writes && isText && !isOwn) typed = { event, field, value: field.value, words: wordsOf(field) };
  };
  const noteScroll = () => {
    const since = performance.now() - 150;
    for (const { event, at } of pressed) {
      if (at >= since && !event.defaultPrevented) send(encode(["scroll", event.key, event.code, 0, 0]));
    }
    pressed = [];
  };
  // What a page does whenever it is used, it does once more to what was there: given the same listener after use upon use, a
  // control does more with every press. What is around controls may listen for each of them.
  const sourceOf = Function.prototype.toString;
  const { matches } = Element.prototype;
  const controls = "button,a,input,select,textarea,[role=button]";
  const pressing = /^(click|dblclick|mousedown|pointerdown|touchstart|keydown|input|change)$/;
  const given = new WeakMap();
  const againMin = 3, toldMax = 10;
  let uses = 0, told = 0;
  const sameAs = (target, type, listener) => {
    if (told === toldMax || typeof listener !== "function" || !(target instanceof Element) || !pressing.test(type)) return null;
    const source = Reflect.apply(matches, target, [controls]) ? Reflect.apply(sourceOf, listener, []) : "[native code]";
    if (source.includes("[native code]")) return null;
    if (!given.has(target)) given.set(target, new Map());
    const kinds = given.get(target);
    const kind = `${type} ${source}`;
    if (!kinds.has(kind)) kinds.set(kind, { listeners: new Set(), last: 0, times: 0 });
    return kinds.get(kind);
  };
  const noteGiven = (target, type, listener, options) => {
    // One that ends by itself may have been meant for another press.
    const same = options?.once || options?.signal ? null : sameAs(target, type, listener);
    if (!same || same.listeners.has(listener)) return;
    same.listeners.add(listener);
    // Several of one use are for several things.
    if (same.last === uses) return;
    [same.last, same.times] = [uses, same.times + 1];
    if (same.times !== againMin) return;
    told += 1;
    send(encode(["again", `${wordsOf(target)}\n${new Error().stack}`, type, 0, 0]));
  };
  const noteTaken = (target, type, listener) => {
    const same = sameAs(target, type, listener);
    same?.listeners.delete(listener);
    if (same?.listeners.size === 0) same.times = 0;
  };
  const came = (event) => {
    // It happens now, whenever the page asks.
    Reflect.apply(stampOf, event, []);
    const path = Reflect.apply(pathOf, event, []);
    if (event.type === "click" || event.type === "keydown") uses += 1;
    if (event.type === "keydown") {
      noteKey(event, path);
      noteTyped(event, path);
    }
    if (event.type === "keyup") lookAtTyped();
    if (event.type === "scroll" && event.target === document && pressed.length) noteScroll();
    for (const target of event.bubbles ? path : path.slice(0, 1)) {
      if (onType(target, event.type)) note(target, event.type);
      if (known.get(target)?.has(event.type)) known.get(target).set(event.type, true);
    }
    if (event.type === "dragover" && event.isTrusted && path.some((target) => known.get(target)?.has("drop"))) {
      look();
      [overs, over] = [overs + 1, event];
    }
  };

  // By this the console's scripts tell it from the page's own.
  came.watches = true;

  EventTarget.prototype.addEventListener = function addEventListener(type, listener, options) {
    if (listener) note(this ?? globalThis, String(type));
    noteGiven(this, String(type), listener, options);
    return Reflect.apply(register, this ?? globalThis, arguments);
  };
  const unregister = EventTarget.prototype.removeEventListener;
  EventTarget.prototype.removeEventListener = function removeEventListener(type, listener) {
    noteTaken(this, String(type), listener);
    return Reflect.apply(unregister, this ?? globalThis, arguments);
  };
  const handled = "click dblclick contextmenu mousedown mouseup mousemove mouseenter mouseleave mouseover mouseout pointerdown pointerup pointermove wheel touchstart touchmove touchend keydown keyup keypress input change submit focus blur scroll resize toggle drag dragstart dragover dragenter dragleave drop dragend".split(" ");
  for (const holder of [HTMLElement.prototype, SVGElement.prototype, Document.prototype, globalThis]) {
    for (const type of handled) {
      const own = Object.getOwnPropertyDescriptor(holder, `on${type}`);
      if (!own?.set || !own.configurable) continue;
      const { set } = own;
      own.set = function (listener) {
        if (listener) note(this ?? globalThis, type);
        return Reflect.apply(set, this ?? globalThis, [listener]);
      };
      Object.defineProperty(holder, `on${type}`, own);
    }
  }
  // What is added to markup is written with all of it anew: who listened there hears nothing any more.
  const markup = APPENDS && Object.getOwnPropertyDescriptor(Element.prototype, "innerHTML");
  // To a form, a field of such a name is what it calls so.
  const getter = (name) => {
    const { get } = Object.getOwnPropertyDescriptor(Node.prototype, name);
    return (node) => Reflect.apply(get, node, []);
  };
  const [parentOf, childrenOf] = ["parentNode", "childNodes"].map(getter);
  const { querySelectorAll } = Element.prototype;
  const lostMax = 20, bindMs = 250;
  const added = new WeakMap();
  const wayFrom = (top, element) => {
    const way = [];
    for (let place = element; place !== top; place = parentOf(place)) way.unshift([].indexOf.call(childrenOf(parentOf(place)), place));
    return way;
  };
  const isPressed = (element) => [...(known.get(element)?.keys() ?? [])].some((type) => pressing.test(type));
  const heardIn = (top, before, after) => {
    const isLonger = before && after.length > before.length && after.startsWith(before);
    const inside = isLonger ? [...Reflect.apply(querySelectorAll, top, [controls])].filter(isPressed) : [];
    return inside.slice(0, lostMax).map((element) => ({ way: wayFrom(top, element), tag: element.localName }));
  };
  const lookAtLost = (top, lost, stack) => {
    const now = lost.map(({ way, tag }) => ({ tag, element: way.reduce((place, index) => place && childrenOf(place)[index], top) }));
    const deaf = now.find(({ tag, element }) => element?.localName === tag && !isPressed(element));
    if (deaf) send(encode(["appended", `${wordsOf(deaf.element)}\n${stack}`, "", 0, 0]));
  };
  if (markup) {
    Object.defineProperty(Element.prototype, "innerHTML", {
      ...markup,
      set(text) {
        const isAdded = typeof text === "string" && this instanceof Element && known.size > 0;
        const lost = isAdded ? heardIn(this, Reflect.apply(markup.get, this, []), text) : [];
        Reflect.apply(markup.set, this, [text]);
        const { stack } = lost.length ? new Error() : {};
        // They may be given their listeners again, if only with the next frame; and all of that once more.
        const time = (added.get(this) ?? 0) + 1;
        added.set(this, time);
        if (stack) later(() => added.get(this) === time && lookAtLost(this, lost, stack), bindMs);
      },
    });
  }
  const readAttributes = () => {
    for (const element of document.querySelectorAll("*")) {
      for (const name of element.getAttributeNames()) if (name.startsWith("on")) note(element, name.slice(2));
    }
  };
  register.call(document, "DOMContentLoaded", readAttributes);
  watch("click");
  watch("dragover");
  watch("keydown");
  watch("keyup");
  watch("scroll");

  const wordsOf = (target) => {
    if (target === globalThis) return "window";
    if (target === document) return "document";
    const tag = target.nodeName.toLowerCase().slice(0, 40);
    const name = target.id ? `#${target.id}` : target.classList?.length ? `.${target.classList[0]}` : "";
    return (tag + name).slice(0, 60);
  };
  // A button that was written anew, with the same words, and without its listener.
  const deafMax = 5;
  const tellOfDeaf = () => {
    if (known.size >= targetsMax) return;
    const isButton = (element) => Reflect.apply(matches, element, ["button:not(:disabled),input[type=button]:not(:disabled)"]);
    const hasHeard = [...known].filter(([target]) => target instanceof Element && !target.isConnected && target.id && isPressed(target) && isButton(target));
    let toldOf = 0;
    for (const [target, types] of hasHeard) {
      const other = document.getElementById(target.id);
      if (!other || toldOf === deafMax || !isButton(other) || isPressed(other) || (other.form && other.type === "submit")) continue;
      if (other.textContent.trim() !== target.textContent.trim() || !other.checkVisibility({ visibilityProperty: true })) continue;
      toldOf += 1;
      send(encode(["deaf", wordsOf(other), [...types.keys()].find((type) => pressing.test(type)), 0, 0]));
    }
  };
  register.call(globalThis, "mondo:coverage", () => {
    look();
    if (overs >= oversMin && !allowed) send(encode(["dropless", "", "", 0, 0]));
    readAttributes();
    tellOfDeaf();
    const pairs = new Map();
    for (const [target, types] of known) {
      for (const [type, reached] of types) {
        const words = wordsOf(target);
        const key = `${type} ${words}`;
        pairs.set(key, [type, words, reached || (pairs.get(key)?.[2] ?? false)]);
      }
    }
    send(encode(["covered", encode([...pairs.values()].slice(0, 500)), "", 0, 0]));
  }, { once: true });
})();
