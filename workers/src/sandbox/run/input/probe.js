// Runs in the page, with the console's own helpers, and gives the elements that a person could use. Each is
// { element, type, kind, words, group, extras, choices, visible, way }, in document order; those of a group are of one sort,
// extras are the rarer inputs that it listens to, choices how many there are, and way leads up from it: what it is the how
// manyth child of, and so on. What is done with them then are functions of the list, made once with it: BEHIND,
// PLACE, PLAY, SEARCH, STROKE and TURN are behind.js, place.js, play.js, search.js, stroke.js and turn.js.
(() => {
  // To a form, a field of such a name is what it calls so.
  const { matches } = document.createElement("i");
  const usable = "button,a[href],input,textarea,select,summary,label,canvas,video,audio,[onclick],[role=button],[tabindex],[contenteditable=true],[draggable=true]";
  // Of the element that was asked about last: several questions in a row are about one.
  let last = null, heard = [];
  const eventsOf = (element) => {
    if (element === last) return heard;
    // Asking for the listeners compiles the attributes, and one that does not parse is to be found when it is used.
    const attributes = element.getAttributeNames ? element.getAttributeNames().filter((name) => name.startsWith("on")) : [];
    const listeners = attributes.length ? {} : getEventListeners(element);
    const names = Object.keys(listeners).filter((name) => listeners[name].some(({ listener }) => !listener.watches));
    [last, heard] = [element, attributes.length ? attributes.map((name) => name.slice(2)) : names];
    return heard;
  };
  const listensTo = (element, names) => {
    const events = eventsOf(element);
    return events.length > 0 && names.some((name) => events.includes(name));
  };
  const moves = ["mousedown", "pointerdown", "mousemove", "pointermove", "touchmove", "wheel"];
  const enters = ["mouseenter", "mouseover", "mouseleave", "mouseout", "pointerenter", "pointerover"];
  const rare = ["dblclick", "contextmenu", "wheel", "touchmove"];
  const holds = (...targets) => targets.some((target) => target && listensTo(target, ["mousedown", "pointerdown"])) && targets.some((target) => target && listensTo(target, ["mouseup", "pointerup", "mouseleave"]));
  const listens = (element) => listensTo(element, ["drop", "click", "mouseup", "pointerup", "touchstart", "touchend", ...rare, ...enters, ...moves]);
  // As the browser means them: to a form, a field of such a name is what it calls so, and `Node` may be the page's.
  const getter = (name) => {
    const get = document.createComment("").__lookupGetter__(name);
    return (node) => get.call(node);
  };
  const [parentOf, childrenOf, before, isConnected] = ["parentNode", "childNodes", "previousSibling", "isConnected"].map(getter);
  const levelsMax = 100;
  // Told to the field, or to what is around it.
  const isLeft = (field) => {
    if (listensTo(field, ["blur", "focusout"])) return true;
    let around = parentOf(field);
    for (let level = 0; level < levelsMax && around; level += 1, around = parentOf(around)) if (listensTo(around, ["focusout"])) return true;
    return false;
  };
  const isSearch = ({ type, id, name, placeholder, ariaLabel, labels }) => type === "search" || [id, name, placeholder, ariaLabel, labels?.[0]?.textContent].some((text) => /search|filter/i.test(text));
  const extrasOf = (...targets) => [...rare.filter((name) => targets.some((target) => target && listensTo(target, [name]))), ...(holds(...targets) ? ["held"] : [])];
  const kindOf = (element) => {
    const tag = element.tagName.toLowerCase();
    if (element.getAttribute("draggable") === "true") return "draggable";
    if (listensTo(element, ["drop"])) return "target";
    if (tag === "canvas" || tag === "svg") return "area";
    if (tag === "select") return "select";
    if (tag === "textarea" || element.isContentEditable) return "text";
    if (tag !== "input") return tag !== "button" && listensTo(element, moves) ? "area" : "button";
    if (element.type === "range") return "range";
    if (["button", "submit", "reset", "checkbox", "radio", "image"].includes(element.type)) return "button";
    if (["file", "hidden"].includes(element.type)) return "skip";
    if (["color", "date", "datetime-local", "month", "time", "week"].includes(element.type)) return "picker";
    return element.type === "number" || ["numeric", "decimal"].includes(element.inputMode) ? "number" : "text";
  };
  const wordsOf = (element, kind) => {
    const tag = element.tagName.toLowerCase().slice(0, 40);
    const name = (element.getAttribute("aria-label") || element.value || element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const label = name && kind === "button" ? ` "${name}"` : "";
    const id = element.id ? `#${element.id.slice(0, 40)}` : "";
    return tag + (label || id);
  };
  // Of each level the last that was counted: most that come next are not far behind it.
  const counted = [];
  const indexOf = (child, level) => {
    const last = counted[level];
    let [index, other] = [0, child];
    while (other !== last?.child && before(other)) [index, other] = [index + 1, before(other)];
    if (other === last?.child) index += last.index;
    counted[level] = { child, index };
    return index;
  };
  const wayTo = (element) => {
    const way = [];
    for (let place = element; parentOf(place) && way.length < levelsMax; place = parentOf(place)) way.push({ parent: parentOf(place), index: indexOf(place, way.length), tag: place.tagName });
    return way;
  };
  const groupOf = (element, kind) => {
    const first = (of) => of?.getAttribute?.("class")?.trim().split(/\s+/)[0];
    return [kind, element.tagName, first(element) ?? [parentOf(element)?.nodeName, first(parentOf(element))]].join(" ");
  };
  const found = [];
  found.wordsOf = ({ element, kind, group }) => (group === "page" ? "page" : wordsOf(element, kind));
  // Answered by init.js; a page that has written itself anew no longer answers.
  const ask = () => {
    const asked = document.createEvent("CustomEvent");
    asked.initCustomEvent("mondo:beats", false, false, {});
    document.dispatchEvent.call(window, asked);
    return asked.detail;
  };
  found.beats = () => ask().beats ?? 0;
  found.worn = () => Object.values(ask().worn?.() ?? {}).join();
  // What fails then is ours, and none of the page's: it may have a `focus` of its own that throws.
  found.later = (task, ms) => ask().later?.(() => {
    try {
      task();
    } catch {}
  }, ms);
  found.behind = BEHIND;
  found.place = PLACE;
  found.play = PLAY;
  found.search = SEARCH;
  found.stroke = STROKE;
  found.turn = TURN;
  // Many pages write a list anew whenever something in it is used. To a person what is now in an element's place is
  // that element.
  found.renew = (entry) => {
    const top = entry.way.findIndex(({ parent }) => isConnected(parent));
    if (top === -1) return;
    const down = entry.way.slice(0, top + 1).reverse();
    const step = (place, { index, tag }) => {
      const child = place && childrenOf(place)[index];
      return child?.tagName === tag ? child : null;
    };
    const element = down.reduce(step, down[0].parent);
    if (element && element.type === entry.type) entry.element = element;
  };
  const foundMax = 1000;
  const inside = (root, chosen) => [...root.querySelectorAll(chosen)].flatMap((element) => (element.shadowRoot ? [element, ...inside(element.shadowRoot, "*")] : [element]));
  for (const element of inside(document, "body *")) {
    if (found.length === foundMax) break;
    if (matches.call(element, "script,style,option,br")) continue;
    const kind = kindOf(element);
    if (kind === "skip") continue;
    // A click on what is around a list opens the list, which is used by itself.
    const listed = matches.call(element, usable) && !(matches.call(element, "label") && element.querySelector("select"));
    if (listed || listens(element)) {
      const visible = element.checkVisibility({ visibilityProperty: true });
      const extras = extrasOf(element);
      if (["text", "number"].includes(kind) && isLeft(element)) extras.push("left");
      if (kind === "text" && isSearch(element)) extras.push("search");
      if (["email", "tel", "url"].includes(element.type)) extras.push(element.type);
      if (listensTo(element, enters)) extras.push("entered");
      if (["checkbox", "radio"].includes(element.type)) extras.push("ticked");
      const choices = kind === "select" ? Math.max(0, Math.trunc(Number(element.length) || 0)) : 0;
      found.push({ element, type: element.type, kind, words: wordsOf(element, kind), group: groupOf(element, kind), extras, choices, visible, way: wayTo(element) });
    }
  }
  // A page that listens on its whole surface is used by clicking anywhere.
  const surface = [window, document, document.documentElement, document.body];
  const extras = extrasOf(...surface);
  const whole = surface.some((target) => target && listens(target)) && !found.some((entry) => entry.kind === "area");
  if (whole || extras.length) found.push({ element: document.documentElement, kind: whole ? "area" : "surface", words: "page", group: "page", extras, choices: 0, visible: true, way: [] });
  return found;
})()
