// Runs in the page, with the console's own helpers, and gives the elements that a person could use. Each is
// { element, kind, words, extras, visible }, in document order; extras are the rarer inputs that it listens to.
(() => {
  const usable = "button,a[href],input,textarea,select,summary,label,canvas,video,audio,[onclick],[role=button],[tabindex],[contenteditable=true],[draggable=true]";
  const listensTo = (element, names) => {
    // Asking for the listeners compiles the attributes, and one that does not parse is to be found when it is used.
    const attributes = element.getAttributeNames ? element.getAttributeNames().filter((name) => name.startsWith("on")) : [];
    if (attributes.length) return names.some((name) => attributes.includes(`on${name}`));
    const events = getEventListeners(element);
    return names.some((name) => events[name]?.some(({ listener }) => !listener.watches));
  };
  const moves = ["mousedown", "pointerdown", "mousemove", "pointermove", "touchmove", "wheel"];
  const enters = ["mouseenter", "mouseover", "mouseleave", "mouseout", "pointerenter", "pointerover"];
  const rare = ["dblclick", "contextmenu", "wheel", "touchmove"];
  const holds = (...targets) => targets.some((target) => target && listensTo(target, ["mousedown", "pointerdown"])) && targets.some((target) => target && listensTo(target, ["mouseup", "pointerup", "mouseleave"]));
  const listens = (element) => listensTo(element, ["drop", "click", "mouseup", "pointerup", "touchstart", "touchend", ...rare, ...enters, ...moves]);
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
    return element.type === "number" ? "number" : "text";
  };
  const wordsOf = (element) => {
    const tag = element.tagName.toLowerCase().slice(0, 40);
    const name = (element.getAttribute("aria-label") || element.value || element.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40);
    const label = name && kindOf(element) === "button" ? ` "${name}"` : "";
    const id = element.id ? `#${element.id.slice(0, 40)}` : "";
    return tag + (label || id);
  };
  const found = [];
  const foundMax = 1000;
  const inside = (root, chosen) => [...root.querySelectorAll(chosen)].flatMap((element) => (element.shadowRoot ? [element, ...inside(element.shadowRoot, "*")] : [element]));
  for (const element of inside(document, "body *")) {
    if (found.length === foundMax) break;
    if (element.matches("script,style,option,br")) continue;
    const kind = kindOf(element);
    if (kind === "skip") continue;
    if (element.matches(usable) || listens(element)) {
      found.push({ element, kind, words: wordsOf(element), extras: extrasOf(element), visible: element.checkVisibility({ visibilityProperty: true }) });
    }
  }
  // A page that listens on its whole surface is used by clicking anywhere.
  const surface = [window, document, document.documentElement, document.body];
  const extras = extrasOf(...surface);
  const whole = surface.some((target) => target && listens(target)) && !found.some((entry) => entry.kind === "area");
  if (whole || extras.length) found.push({ element: document.documentElement, kind: whole ? "area" : "surface", words: "page", extras, visible: true });
  return found;
})()
