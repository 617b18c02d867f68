// A function of the list that probe.js gives: where the element with this index is now, as
// { area, words, beats, worn, in_dialog, behind, shapes }: left, top, width and height of its visible part in CSS pixels, what it is
// called now, how many frames the page has asked for, what the page as a whole wears, its theme, whether it is in something
// that is open over the page, which is kept with its text as `opened`, what opens behind something else, and was so at the
// look before, and where in it something is that a person could aim
// at. Null when a person could not use it.
function (index) {
  // To a form, a field of such a name is what it calls so.
  const { matches } = document.createElement("i");
  const entry = this[index];
  if (!entry.element.isConnected) this.renew(entry);
  const { element } = entry;
  if (!element.isConnected || matches.call(element, ":disabled")) return null;
  let box = element.getBoundingClientRect();
  if (box.bottom > window.innerHeight || box.top < 0) {
    element.scrollIntoView({ block: "center", behavior: "instant" });
    box = element.getBoundingClientRect();
  }
  // What is drawn in ends at its border.
  const board = entry.kind === "area" && element.clientWidth > 0;
  const [x, y] = board ? [box.left + element.clientLeft, box.top + element.clientTop] : [box.left, box.top];
  const [width, height] = board ? [element.clientWidth, element.clientHeight] : [box.width, box.height];
  const left = Math.max(0, x), top = Math.max(0, y);
  const right = Math.min(window.innerWidth, x + width), bottom = Math.min(window.innerHeight, y + height);
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
  const hidden = this.behind();
  const behind = hidden && hidden === this.hidden ? hidden : null;
  this.hidden = hidden;
  const dialog = element.closest("dialog,[role=dialog],[role=alertdialog],[aria-modal=true],.modal,.lightbox,.popup,.dialog");
  const isOver = (layer) => layer && layer !== document.body && (getComputedStyle(layer).position === "fixed" || isOver(layer.parentElement));
  this.opened = dialog && isOver(dialog) ? { dialog, text: dialog.textContent } : null;
  const shapes = [];
  const shapesMax = 20;
  let looks = 100;
  for (const inner of entry.kind === "area" && !root ? element.getElementsByTagName("*") : []) {
    if (shapes.length === shapesMax || looks === 0) break;
    looks -= 1;
    if (inner.firstElementChild) continue;
    const { left: from, top: down, width: wide, height: high } = inner.getBoundingClientRect();
    const at = [from + wide / 2, down + high / 2];
    if (document.elementFromPoint(...at) === inner) shapes.push(at);
  }
  return { area: [left, top, right - left, bottom - top], words: this.wordsOf(entry), beats: this.beats(), worn: this.worn(), in_dialog: Boolean(this.opened), behind, shapes };
}
