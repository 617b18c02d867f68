// Called on what probe.js found: where the element with this index is now, as { area, words }: left, top, width and
// height of its visible part in CSS pixels, and its words if another element has taken its place. Null when a person
// could not use it.
function (index) {
  const entry = this[index];
  const words = entry.element.isConnected ? null : this.renew(entry);
  const { element } = entry;
  if (!element.isConnected || element.disabled) return null;
  let box = element.getBoundingClientRect();
  if (box.bottom > window.innerHeight || box.top < 0) {
    element.scrollIntoView({ block: "center", behavior: "instant" });
    box = element.getBoundingClientRect();
  }
  const left = Math.max(0, box.left), top = Math.max(0, box.top);
  const right = Math.min(window.innerWidth, box.right), bottom = Math.min(window.innerHeight, box.bottom);
  if (right - left < 2 || bottom - top < 2) return null;
  const style = getComputedStyle(element);
  if (style.visibility !== "visible" || style.pointerEvents === "none") return null;
  const middle = [(left + right) / 2, (top + bottom) / 2];
  let on = document.elementFromPoint(...middle);
  for (let inner = on; inner; inner = inner.shadowRoot?.elementFromPoint(...middle)) {
    on = inner;
    if (!inner.shadowRoot || inner === element) break;
  }
  const root = element === document.documentElement;
  if (!root && !(on && (element.contains(on) || on.contains(element)))) return null;
  return { area: [left, top, right - left, bottom - top], words };
}
