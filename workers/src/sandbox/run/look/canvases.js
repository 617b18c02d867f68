// Gives the canvases that are wholly in view and that nothing covers, as { words, used, left, top, width, height }
// in CSS pixels. One that listens to the pointer may be empty because nobody has drawn in it yet.
[...document.querySelectorAll("canvas")].slice(0, 20).flatMap((canvas) => {
  const { left, top, width, height, right, bottom } = canvas.getBoundingClientRect();
  if (width < 50 || height < 50 || left < 0 || top < 0 || right > window.innerWidth || bottom > window.innerHeight) return [];
  const shares = [[0.5, 0.5], [0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]];
  if (!shares.every(([x, y]) => document.elementFromPoint(left + width * x, top + height * y) === canvas)) return [];
  const style = getComputedStyle(canvas);
  if (style.opacity !== "1" || style.borderRadius !== "0px") return [];
  const names = Object.keys(getEventListeners(canvas));
  const used = names.some((name) => /^(mouse|pointer|touch|click|dblclick)/.test(name));
  return [{ words: canvas.id ? `canvas#${canvas.id.slice(0, 40)}` : "a canvas", used, left, top, width, height }];
})
