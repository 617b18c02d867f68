// Gives { message, tag } of the buttons in view that something covers which shows nothing there: a transparent layer
// keeps the clicks from them. What covers them with a background, or with controls of its own, is meant to.
[...document.querySelectorAll("button,[role=button],input[type=button],a[href]")].flatMap((element) => {
  const { left, top, width, height } = element.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  if (width < 4 || height < 4 || x < 0 || y < 0 || x > window.innerWidth || y > window.innerHeight) return [];
  if (element.disabled || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return [];
  if (getComputedStyle(element).pointerEvents === "none") return [];
  const on = document.elementFromPoint(x, y);
  if (!on || element.contains(on) || on.shadowRoot || on.closest("label")) return [];
  const name = element.id ? `#${element.id.slice(0, 40)}` : ` "${element.textContent.trim().slice(0, 40)}"`;
  const found = (layer) => [{ message: `${layer} covers ${element.tagName.toLowerCase()}${name}: clicks do not reach it`, tag: element.outerHTML.slice(0, 300).split(">")[0] }];
  const words = on.tagName.toLowerCase() + (on.id ? `#${on.id.slice(0, 40)}` : "");
  if (on.contains(element)) {
    // What is around it has a layer of its own over it.
    const covers = (layer) => {
      const { content, position, pointerEvents } = getComputedStyle(on, layer);
      return content !== "none" && ["absolute", "fixed"].includes(position) && pointerEvents !== "none";
    };
    return ["::before", "::after"].filter(covers).slice(0, 1).flatMap((layer) => found(words + layer));
  }
  const style = getComputedStyle(on);
  const clear = /^(rgba\(.*, 0\)|transparent)$/.test(style.backgroundColor) && style.backgroundImage === "none";
  if (!clear || on.matches("a,button,input,select,textarea,img,video") || on.textContent.trim() || on.querySelector("*")) return [];
  return found(words);
}).slice(0, 10)
