// A function of the list that probe.js gives: what has been opened since to be used and is wholly behind something else, in words,
// or null. What another such thing is open over is meant to be, and so is what a fixed layer is over.
function () {
  const openable = "dialog,[role=dialog],[role=alertdialog],[aria-modal=true],.modal,.popup,.popover,.dialog";
  const named = (element) => element.tagName.toLowerCase() + (element.id ? `#${element.id.slice(0, 40)}` : element.classList[0] ? `.${element.classList[0].slice(0, 40)}` : "");
  const parentOf = document.createComment("").__lookupGetter__("parentElement");
  const around = (element) => {
    const layers = [];
    for (let layer = element; layer; layer = parentOf.call(layer)) layers.push(layer);
    return layers;
  };
  const shown = [...document.querySelectorAll(openable)].slice(0, 20).filter((box) => box.checkVisibility({ visibilityProperty: true, opacityProperty: true }));
  this.shownFirst ??= new Set(shown);
  for (const box of shown) {
    const { left, top, width, height } = box.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2];
    if (this.shownFirst.has(box) || width < 40 || height < 40 || left < 0 || top < 0 || left + width > window.innerWidth || top + height > window.innerHeight) continue;
    const isCut = around(box).some((layer) => {
      const { clipPath, overflowX, overflowY, pointerEvents, backfaceVisibility } = getComputedStyle(layer);
      const { left: from, right: to, top: above, bottom: below } = layer.getBoundingClientRect();
      const isOut = x < from || x > to || y < above || y > below;
      return clipPath !== "none" || pointerEvents === "none" || backfaceVisibility === "hidden" || (isOut && `${overflowX}${overflowY}` !== "visiblevisible");
    });
    const points = [[0.5, 0.5], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];
    const over = points.map(([across, down]) => document.elementFromPoint(left + width * across, top + height * down));
    const covers = (on) => on && !box.contains(on) && !on.contains(box) && !on.closest(openable) && around(on).every((layer) => getComputedStyle(layer).position !== "fixed");
    if (!isCut && over.every(covers)) return `${named(box)} is open behind ${named(over[0])}`;
  }
  return null;
}
