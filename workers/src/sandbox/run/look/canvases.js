// Gives the canvases that are wholly in view, that nothing covers and that the page has not emptied, as { index, words, used,
// left, top, width, height } in CSS pixels: without borders, and where corners are a little round, the part that they leave
// whole. One that listens to the pointer may be empty because nobody has drawn in it yet.
(() => {
  const asked = document.createEvent("CustomEvent");
  asked.initCustomEvent("mondo:beats", false, false, {});
  document.dispatchEvent.call(window, asked);
  return [...document.querySelectorAll("canvas")].slice(0, 20).flatMap((canvas, index) => {
    // The page has drawn on it and then emptied it: that is meant.
    if (asked.detail.isEmptied?.(canvas)) return [];
    const { left, top, width, height, right, bottom } = canvas.getBoundingClientRect();
    if (width < 50 || height < 50 || left < 0 || top < 0 || right > window.innerWidth || bottom > window.innerHeight) return [];
    const shares = [[0.5, 0.5], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];
    if (!shares.every(([x, y]) => document.elementFromPoint(left + width * x, top + height * y) === canvas)) return [];
    const style = getComputedStyle(canvas);
    if (style.opacity !== "1") return [];
    const radii = style.borderRadius.split(/[ /]+/).map((radius) => (radius.endsWith("%") ? (parseFloat(radius) / 100) * Math.max(width, height) : parseFloat(radius)));
    // A corner's circle keeps this share of its radius from either side.
    const inset = Math.ceil((1 - Math.SQRT1_2) * Math.max(...radii));
    if (!(inset <= 0.1 * Math.min(width, height))) return [];
    const edge = (side) => Math.max(inset, parseFloat(style[`border${side}Width`]) + parseFloat(style[`padding${side}`]));
    const inner = { left: left + edge("Left"), top: top + edge("Top"), width: width - edge("Left") - edge("Right"), height: height - edge("Top") - edge("Bottom") };
    const names = Object.keys(getEventListeners(canvas));
    const used = names.some((name) => /^(mouse|pointer|touch|click|dblclick)/.test(name));
    return [{ index, words: canvas.id ? `canvas#${canvas.id.slice(0, 40)}` : "a canvas", used, ...inner }];
  });
})()
