// Gives { message, tag } of the buttons in view that something covers which shows nothing there: a transparent layer
// keeps the clicks from them. What covers them with a background that can be seen, or with controls of its own, is meant to.
[...document.querySelectorAll("button,[role=button],input[type=button],a[href]")].flatMap((element) => {
  const { left = 0, top = 0, width = 0, height = 0 } = element.getClientRects()[0] ?? {};
  const [x, y] = [left + width / 2, top + height / 2];
  if (width < 4 || height < 4 || x < 0 || y < 0 || x > window.innerWidth || y > window.innerHeight) return [];
  if (element.disabled || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return [];
  if (getComputedStyle(element).pointerEvents === "none") return [];
  const on = document.elementFromPoint(x, y);
  if (!on || element.contains(on) || on.shadowRoot || on.closest("label")) return [];
  const name = element.id ? `#${element.id.slice(0, 40)}` : ` "${element.textContent.trim().slice(0, 40)}"`;
  const found = (layer) => [{ message: `${layer} covers ${element.tagName.toLowerCase()}${name}: clicks do not reach it`, tag: element.outerHTML.slice(0, 300).split(">")[0] }];
  const wordsOf = (layer) => layer.tagName.toLowerCase() + (layer.id ? `#${layer.id.slice(0, 40)}` : "");
  if (on.contains(element)) {
    // What is around it has a layer of its own over it, as large as itself, that says nothing.
    const covers = (layer) => {
      const { content, position, pointerEvents, zIndex, width, height } = getComputedStyle(on, layer);
      const large = parseFloat(width) >= on.clientWidth * 0.9 && parseFloat(height) >= on.clientHeight * 0.9;
      return content === '""' && ["absolute", "fixed"].includes(position) && pointerEvents !== "none" && !(zIndex < 0) && large;
    };
    return ["::before", "::after"].filter(covers).slice(0, 1).flatMap((layer) => found(wordsOf(on) + layer));
  }
  const isUnseen = (layer) => !layer.checkVisibility({ opacityProperty: true });
  if (isUnseen(on)) {
    // Whatever it says. A control that cannot be seen lies over what stands for it.
    let layer = on;
    while (layer.parentElement && isUnseen(layer.parentElement)) layer = layer.parentElement;
    // What is over a card may come when a mouse is over the card.
    const { parentElement: card } = layer;
    const isHovered = card !== document.body && card.contains(element) && [...document.querySelectorAll("style")].some((style) => style.textContent.includes(":hover"));
    return isHovered || layer.matches("a,button") || on.matches("input,select,textarea,label") ? [] : found(wordsOf(layer));
  }
  // As the browser means it: to a form, a field of such a name is what it calls so.
  const parentOf = document.createComment("").__lookupGetter__("parentElement");
  const isClear = ({ backgroundColor, backgroundImage }) => /^(rgba\(.*, 0\)|transparent)$/.test(backgroundColor) && backgroundImage === "none";
  // What it is in may be seen.
  for (let layer = on; layer && !layer.contains(element); layer = parentOf.call(layer)) if (!isClear(getComputedStyle(layer))) return [];
  if (on.matches("a,button,input,select,textarea,img,video") || on.textContent.trim() || on.querySelector("*")) return [];
  return found(wordsOf(on));
}).slice(0, 10)
