// A function of the list that probe.js gives: what is open to be used and wholly behind something else, in words, or null. What
// another such thing is open over is meant to be.
function () {
  const openable = "dialog,[role=dialog],[role=alertdialog],[aria-modal=true],.modal,.popup,.popover,.dialog";
  const named = (element) => element.tagName.toLowerCase() + (element.id ? `#${element.id.slice(0, 40)}` : "");
  for (const box of [...document.querySelectorAll(openable)].slice(0, 20)) {
    if (!box.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || getComputedStyle(box).pointerEvents === "none") continue;
    const { left, top, width, height } = box.getBoundingClientRect();
    if (width < 40 || height < 40 || left < 0 || top < 0 || left + width > window.innerWidth || top + height > window.innerHeight) continue;
    const points = [[0.5, 0.5], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];
    const over = points.map(([x, y]) => document.elementFromPoint(left + width * x, top + height * y));
    const covers = (on) => on && !box.contains(on) && !on.contains(box) && !on.closest(openable) && getComputedStyle(on).position !== "fixed";
    if (over.every(covers)) return `${named(box)} is open behind ${named(over[0])}`;
  }
  return null;
}
