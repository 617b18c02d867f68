// Gives { message, tag } of the buttons in view that something covers which shows nothing there: a transparent layer
// keeps the clicks from them. What covers them with a background, or with controls of its own, is meant to.
[...document.querySelectorAll("button,[role=button],input[type=button],a[href]")].flatMap((element) => {
  const { left, top, width, height } = element.getBoundingClientRect();
  const [x, y] = [left + width / 2, top + height / 2];
  if (width < 4 || height < 4 || x < 0 || y < 0 || x > window.innerWidth || y > window.innerHeight) return [];
  if (element.disabled || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return [];
  if (getComputedStyle(element).pointerEvents === "none") return [];
  const on = document.elementFromPoint(x, y);
  if (!on || element.contains(on) || on.contains(element) || on.shadowRoot || on.closest("label")) return [];
  const style = getComputedStyle(on);
  const clear = /^(rgba\(.*, 0\)|transparent)$/.test(style.backgroundColor) && style.backgroundImage === "none";
  if (!clear || on.matches("a,button,input,select,textarea,img,video") || on.textContent.trim() || on.querySelector("*")) return [];
  const name = element.id ? `#${element.id.slice(0, 40)}` : ` "${element.textContent.trim().slice(0, 40)}"`;
  const layer = on.tagName.toLowerCase() + (on.id ? `#${on.id.slice(0, 40)}` : "");
  const message = `${layer} covers ${element.tagName.toLowerCase()}${name}: clicks do not reach it`;
  return [{ message, tag: element.outerHTML.slice(0, 300).split(">")[0] }];
}).slice(0, 10)
