// Runs in the page once it has settled, with the console's own helpers, and gives what can be seen without using it:
// controls that nothing listens to, canvases without a size, and what keeps people from using the page. Each is
// { kind, message, tag }, where tag is the element's opening tag, to find its line by. What only a picture can tell has a place.
(() => {
  // To a form, a field of such a name is what it calls so.
  const { matches } = document.createElement("i");
  const found = [];
  const eachMax = 10;
  const tagOf = (element) => element.outerHTML.slice(0, 300).split(">")[0];
  const tell = (kind, message, element) => {
    if (found.filter((entry) => entry.kind === kind).length < eachMax) found.push({ kind, message, tag: element ? tagOf(element) : "" });
  };
  const named = (element) => {
    const tag = element.tagName.toLowerCase();
    const words = (element.getAttribute("aria-label") || element.textContent || element.value || "").trim().replace(/\s+/g, " ").slice(0, 40);
    return element.id ? `${tag}#${element.id.slice(0, 40)}` : words ? `${tag} "${words}"` : tag;
  };
  const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && !element.closest("[inert],[aria-hidden=true]");

  // A control is heard when it, or anything around it, listens to what is done with it. Keys that a page listens to as a
  // whole are seldom meant for a button.
  const presses = ["click", "mousedown", "mouseup", "pointerdown", "pointerup", "touchstart", "touchend", "dblclick"];
  const keys = ["keydown", "keyup", "focus"];
  const changes = [...presses, ...keys, "input", "change", "keypress", "beforeinput", "blur", "focusout", "wheel"];
  const hears = (target, names) => {
    // Asking for the listeners compiles the attributes, and one that does not parse is to be found when it is used.
    const attributes = target.getAttributeNames ? target.getAttributeNames().filter((name) => name.startsWith("on")) : [];
    if (attributes.length) return names.some((name) => attributes.includes(`on${name}`));
    const listeners = getEventListeners(target);
    return names.some((name) => listeners[name]?.some(({ listener }) => !listener.watches));
  };
  // As the browser means them: to a form, a field of such a name is what it calls so.
  const getter = (name) => {
    const get = document.createComment("").__lookupGetter__(name);
    return (node) => get.call(node);
  };
  const [parentOf, childrenOf] = ["parentElement", "childNodes"].map(getter);
  const heard = (element, names) => {
    for (let target = element; target; target = parentOf(target)) if (hears(target, names)) return true;
    return hears(document, names) || hears(window, names);
  };
  const scripts = [...document.scripts].map((script) => script.textContent).join("\n");
  const readAll = /querySelector(All)?\(\s*['"`][^'"`]*\b(input|select|textarea|button)/.test(scripts) || /getElementsBy(TagName|ClassName)|\.elements\b|FormData/.test(scripts);
  const isRead = (element) => readAll || [element.id, element.name].some((name) => name && scripts.includes(name));
  // A style sheet may be all that reads a box that is ticked.
  const styled = [...document.querySelectorAll("style")].some((style) => style.textContent.includes(":checked"));
  const isStyled = (element) => styled && ["checkbox", "radio"].includes(element.type);
  const does = (element) => matches.call(element, "[popovertarget],[command],[download],summary,form button,form input,details *") || element.closest("label,form");
  for (const element of document.querySelectorAll("button,[role=button],input[type=button],a[href='#'],a[href='']")) {
    if (visible(element) && !heard(element, presses) && !hears(element, keys) && !does(element)) tell("control", `nothing listens to ${named(element)}`, element);
  }
  for (const element of document.querySelectorAll("input:not([type=button],[type=submit],[type=reset],[type=hidden],[type=image]),select,textarea")) {
    if (visible(element) && !element.readOnly && !heard(element, changes) && !isRead(element) && !isStyled(element) && !element.closest("form")) {
      tell("control", `nothing reads ${named(element)}`, element);
    }
  }

  // What is dragged as long as the mouse is pressed sticks to it once it is released where nobody listens to that.
  const roots = [window, document, document.documentElement, document.body];
  const someHears = (targets, names) => targets.some((target) => target && hears(target, names));
  const around = (element) => (element && !roots.includes(element) ? [element, ...around(parentOf(element))] : []);
  const isNoticed = /setPointerCapture|\bbuttons\b|\bwhich\b|(mouse|pointer)(leave|out)|lostpointercapture|on(mouse|pointer)up/.test(scripts) || /((window|document|body|documentElement)\.|[^.\w])addEventListener\(\s*['"`](mouse|pointer)up/.test(scripts);
  for (const kind of isNoticed ? [] : ["mouse", "pointer"].filter((kind) => scripts.includes(`${kind}down`))) {
    const dragged = [...document.querySelectorAll("body *")].slice(0, 1000).find((element) => {
      const { width, height } = element.getBoundingClientRect();
      const outside = width < window.innerWidth * 0.95 || height < window.innerHeight * 0.95;
      return outside && hears(element, [`${kind}down`]) && someHears([...roots, element], [`${kind}move`]) && someHears(around(element), [`${kind}up`]);
    });
    if (dragged && !someHears(roots, ["mouseup", "pointerup"])) tell("drag", `a release of the mouse outside of ${named(dragged)} is not noticed: what is dragged sticks to it`, dragged);
  }

  if (!document.documentElement.lang) tell("accessibility", "the page does not say its language: give <html> a lang", null);
  const text = (element) => (element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.title || "").trim();
  for (const element of document.querySelectorAll("button,a[href],[role=button],input[type=button]")) {
    const inside = element.textContent.trim() || element.value || element.querySelector("img[alt]:not([alt='']),[aria-label],title");
    if (visible(element) && !text(element) && !inside) tell("accessibility", `${named(element)} has no name for those who cannot see it`, element);
  }
  for (const element of document.querySelectorAll("input:not([type=button],[type=submit],[type=reset],[type=hidden],[type=image]),select,textarea")) {
    if (visible(element) && !text(element) && !element.placeholder && !element.labels?.length && !element.closest("label")) {
      tell("accessibility", `${named(element)} has no name: give it a label`, element);
    }
  }
  for (const element of document.querySelectorAll("canvas")) {
    const { width, height } = element.getBoundingClientRect();
    if (visible(element) && !(width && height)) tell("blank", `nothing can be seen of ${named(element)}: it is ${Math.round(width)} by ${Math.round(height)} px`, element);
  }
  for (const element of document.images) if (!element.hasAttribute("alt") && !text(element)) tell("accessibility", `${named(element)} has no alt text`, element);

  // Text that hardly differs from what is behind it. Text of the very same colour is hidden on purpose.
  const colour = (words) => {
    const parts = words.match(/^rgba?\(([^)]+)\)$/);
    const [red, green, blue, alpha = 1] = parts ? parts[1].split(/[ ,/]+/).map(Number) : [0, 0, 0, 0];
    return { red, green, blue, alpha };
  };
  const behind = (element) => {
    for (let place = element; place; place = parentOf(place)) {
      const style = getComputedStyle(place);
      if (style.backgroundImage !== "none" || style.opacity !== "1" || (style.position !== "static" && place !== element)) return null;
      const { alpha, ...rest } = colour(style.backgroundColor);
      if (alpha === 1) return rest;
      if (alpha > 0) return null;
    }
    return { red: 255, green: 255, blue: 255 };
  };
  // The same where only a picture can tell: what is around it, whatever lies between.
  const ground = (element) => {
    for (let place = element; place; place = parentOf(place)) {
      const { alpha, ...rest } = colour(getComputedStyle(place).backgroundColor);
      if (alpha === 1) return rest;
    }
    return { red: 255, green: 255, blue: 255 };
  };
  const light = ({ red, green, blue }) => {
    const [r, g, b] = [red, green, blue].map((value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const between = (ink, paper) => {
    const [high, low] = [light(ink), light(paper)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const textOf = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  };
  const isInView = (element) => {
    const { left, top, right, bottom } = textOf(element);
    const on = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return element.checkVisibility({ opacityProperty: true }) && left >= 0 && top >= 0 && right <= window.innerWidth && bottom <= window.innerHeight && element.contains(on);
  };
  // A person has mixed it: picked it, or set its parts.
  const mixes = document.querySelector("input[type=color]") || document.querySelectorAll("input[type=range]").length >= 3;
  const isChosen = (element) => {
    for (let place = mixes && element; place && place !== document.body; place = parentOf(place)) {
      if (place.style?.color || place.style?.background || place.style?.backgroundColor) return true;
    }
    return false;
  };
  // What could be read at first cannot mean to hide only because the page wears another theme. It is kept by init.js.
  const asked = document.createEvent("CustomEvent");
  asked.initCustomEvent("mondo:beats", false, false, {});
  document.dispatchEvent.call(window, asked);
  const { legible = new Map(), worn } = asked.detail;
  const wears = worn?.().colours;
  // While one theme passes into another, nothing is told of contrasts.
  const { CSSTransition } = window;
  const isPassing = document.getAnimations().some((animation) => CSSTransition && animation instanceof CSSTransition && animation.playState === "running");
  const isHidden = (element) => legible.has(element) && legible.get(element) !== wears;
  const read = [];
  let looked = 0;
  for (const element of document.querySelectorAll("body *")) {
    if (looked >= 150 || isPassing) break;
    // A picture among the letters has colours of its own.
    const says = [...childrenOf(element)].some((node) => node.nodeType === 3 && /[\p{L}\p{N}]/u.test(node.data));
    // What is crossed out is done with.
    if (getComputedStyle(element).textDecorationLine.includes("line-through")) continue;
    const isField = matches.call(element, "textarea,select,input:not([type=button],[type=submit],[type=reset],[type=hidden],[type=image],[type=range],[type=color],[type=checkbox],[type=radio],[type=file])");
    if (!(says || isField) || !element.namespaceURI.endsWith("xhtml") || matches.call(element, "script,style,option") || !visible(element)) continue;
    looked += 1;
    const ink = colour(getComputedStyle(element).color);
    if (ink.alpha !== 1) continue;
    const paper = behind(element);
    const contrast = between(ink, paper ?? ground(element));
    if (contrast >= 2.5) read.push(element);
    if (legible.size && isChosen(element)) continue;
    if (!paper && contrast < 1.3 && isHidden(element) && isInView(element)) {
      const { left, top, width, height } = textOf(element);
      // Its border is left out of the look.
      const border = 4;
      found.push({ kind: "unseen", message: `the text of ${named(element)} is not to be seen in another theme of the page`, tag: tagOf(element), place: { left: left - border, top: top - border, width: width + 2 * border, height: height + 2 * border } });
    }
    if (paper && contrast < 2.5 && (contrast > 1.05 || isHidden(element))) tell("accessibility", `the text of ${named(element)} has a contrast of only ${contrast.toFixed(1)}`, element);
  }
  if (!legible.size) for (const element of read) legible.set(element, wears);
  return found;
})()
