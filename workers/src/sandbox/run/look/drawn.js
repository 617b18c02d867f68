// Gives the numbers of the canvases, in document order, that listen to the pointer and show more than one colour.
[...document.querySelectorAll("canvas")].slice(0, 20).flatMap((canvas, index) => {
  if (!Object.keys(getEventListeners(canvas)).some((name) => /^(mouse|pointer|touch|click|dblclick)/.test(name))) return [];
  if (!canvas.width || !canvas.height) return [];
  const small = document.createElement("canvas");
  small.width = small.height = 32;
  const context = small.getContext("2d", { willReadFrequently: true });
  // By this init.js tells it from the page's own.
  context.watches = true;
  context.drawImage(canvas, 0, 0, 32, 32);
  const pixels = new Uint32Array(context.getImageData(0, 0, 32, 32).data.buffer);
  return pixels.some((pixel) => pixel !== pixels[0]) ? [index] : [];
})
