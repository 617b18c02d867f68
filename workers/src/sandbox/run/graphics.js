// What is drawn, and where on it is pressed: put into init.js, whose names it shares.
for (const kind of [globalThis.WebGLRenderingContext, globalThis.WebGL2RenderingContext]) {
  if (!kind) continue;
  const { COMPILE_STATUS, LINK_STATUS, prototype } = kind;
  const { getShaderParameter, getShaderInfoLog, getProgramParameter, getProgramInfoLog } = prototype;
  const check = (name, status, parameter, log, words) => wrap(prototype, name, (self, [made], go) => {
    const result = go();
    if (made && parameter.call(self, made, status) === false) note("graphics", words + (log.call(self, made) || ""));
    return result;
  });
  check("compileShader", COMPILE_STATUS, getShaderParameter, getShaderInfoLog, "a shader does not compile: ");
  check("linkProgram", LINK_STATUS, getProgramParameter, getProgramInfoLog, "a program does not link: ");
}

// A shape whose place is not a number is not drawn, and nobody is told. A line may leave out some of its points like
// that; a whole path of such points is nothing.
const apply = Reflect.apply;
const losses = new Set();
const lost = (name) => {
  if (losses.has(name)) return;
  losses.add(name);
  note("lost", name);
};
// On which of them something was drawn, which of them were emptied after that, and where something was drawn last.
const drawnOn = new WeakSet(), emptied = new WeakSet();
let drawnLast = null;
const drawsOn = (context) => {
  draws += 1;
  if (drawnLast === context) return;
  drawnLast = context;
  drawnOn.add(context);
  emptied.delete(context.canvas);
};
const { CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D, Path2D } = globalThis;

// What a press at a canvas draws is drawn where it was pressed. A page that forgets where the canvas begins in the view, or that
// it is shown larger than it is, draws it elsewhere: told where several presses were, and none was drawn in its place.
const pressesMin = 3, drawsOfPressMax = 400, farMin = 12, nearMax = 1.5, placeMax = 4;
const aimedAt = new WeakMap(), misplaced = [];
let aim = null;
const boxOf = Element.prototype.getBoundingClientRect;
const transformOf = CanvasRenderingContext2D?.prototype.getTransform;
const isNear = ([x, y], [a, b], most) => Math.abs(x - a) <= most && Math.abs(y - b) <= most;
const aimAt = (event) => {
  const [canvas] = event.composedPath();
  aim = null;
  if (!(canvas instanceof HTMLCanvasElement)) return;
  if (!aimedAt.has(canvas)) aimedAt.set(canvas, { isPlaced: false, misses: new Map() });
  const known = aimedAt.get(canvas);
  if (known.isPlaced) return;
  const { clientX, clientY } = event;
  const { left, top, width, height } = apply(boxOf, canvas, []);
  const [x, y] = [clientX - left, clientY - top];
  const place = [(x * canvas.width) / width, (y * canvas.height) / height];
  const mistakes = [
    { at: [clientX, clientY], why: `${Math.round(left)} px to the right and ${Math.round(top)} px down, as far as the canvas is from the corner of the view` },
    { at: [x, y], why: `the canvas is ${canvas.width} px wide and shown ${Math.round(width)} px wide` },
  ].filter(({ at }) => !isNear(at, place, farMin) && at[0] < canvas.width && at[1] < canvas.height);
  if (mistakes.length) aim = { canvas, known, place, mistakes, draws: drawsOfPressMax };
};
const aimed = (context, x, y, width, height) => {
  if (context.canvas !== aim.canvas) return;
  aim.draws -= 1;
  if (aim.draws < 0) {
    aim = null;
    return;
  }
  const { a, b, c, d, e, f } = apply(transformOf, context, []);
  const points = [[x, y], [x + width / 2, y + height / 2]].map(([x, y]) => [a * x + c * y + e, b * x + d * y + f]);
  const { known, place, mistakes, canvas } = aim;
  if (points.some((point) => isNear(point, place, placeMax))) {
    known.isPlaced = true;
    aim = null;
    return;
  }
  const mistake = mistakes.find(({ at }) => points.some((point) => isNear(point, at, nearMax)));
  if (!mistake) return;
  known.misses.set(place.join(), mistake.why);
  aim = null;
  if (known.misses.size === pressesMin) misplaced.push({ canvas, known });
};
// Where an image is drawn and how large, whether it is given its size or a part of it.
const placeOf = (given) => (given.length > 5 ? [given[5], given[6], given[7], given[8]] : [given[1], given[2], given[3] ?? given[0]?.width ?? 0, given[4] ?? given[0]?.height ?? 0]);
for (const type of ["pointerdown", "mousedown", "pointermove", "mousemove"]) listen(type, aimAt);
listen("mondo:coverage", () => {
  for (const { canvas, known } of misplaced) {
    const [why] = known.misses.values();
    if (!known.isPlaced) send(encode(["misplaced", canvas.id ? `canvas#${canvas.id.slice(0, 40)}` : "a canvas", why, 0, 0]));
  }
});
for (const holder of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D, Path2D]) {
  const shapes = holder?.prototype;
  if (!shapes) continue;
  const replace = (name, make) => {
    const own = Object.getOwnPropertyDescriptor(shapes, name);
    if (own?.configurable && typeof own.value === "function") Object.defineProperty(shapes, name, { ...own, value: make(own.value) });
  };
  for (const name of ["arc", "ellipse", "rect", "roundRect", "fillRect", "strokeRect", "translate"]) {
    replace(name, (draw) => ({ [name](x, y, width, height) {
      drawsOn(this);
      if (aim) aimed(this, x, y, name.endsWith("Rect") || name === "rect" ? width : 0, height || 0);
      if (x !== x || y !== y || width !== width || height !== height) lost(name);
      return apply(draw, this, arguments);
    } })[name]);
  }
  replace("drawImage", (draw) => function drawImage(image, x, y) {
    drawsOn(this);
    if (aim) aimed(this, ...placeOf(arguments));
    goesOn ||= shown.has(image) && !this.watches;
    if (x !== x || y !== y) lost("drawImage");
    return apply(draw, this, arguments);
  });
  // Of the path that is being made: on what, and how many lines of it have a place and how many have none.
  let on = null, placed = 0, unplaced = 0;
  // A page may draw each line by itself: nothing is drawn where a whole frame has only such lines.
  const linesMin = 5;
  replace("beginPath", (begin) => function beginPath() {
    [on, placed, unplaced] = [this, 0, 0];
    return apply(begin, this, arguments);
  });
  replace("moveTo", (draw) => function moveTo(x, y) {
    if (aim) aimed(this, x, y, 0, 0);
    if (x !== x || y !== y) unplaced += 1;
    return apply(draw, this, arguments);
  });
  replace("lineTo", (draw) => function lineTo(x, y) {
    if (aim) aimed(this, x, y, 0, 0);
    if (x !== x || y !== y) unplaced += 1;
    else placed += 1;
    return apply(draw, this, arguments);
  });
  for (const name of ["stroke", "fill"]) {
    replace(name, (draw) => ({ [name]() {
      drawsOn(this);
      if (on === this && placed > 0) paths.drawn += 1;
      else if (on === this && unplaced > 0) {
        paths.lost += 1;
        if (unplaced > 1 || (before.lost >= linesMin && !before.drawn)) lost("lineTo");
      }
      return apply(draw, this, arguments);
    } })[name]);
  }
  for (const name of ["fillText", "strokeText"]) {
    replace(name, (draw) => ({ [name](text, x, y) {
      drawsOn(this);
      if (aim) aimed(this, x, y, 0, 0);
      if (x !== x || y !== y) lost(name);
      return apply(draw, this, arguments);
    } })[name]);
  }
}

wrap(CanvasRenderingContext2D?.prototype, "putImageData", (self, values, go) => {
  drawsOn(self);
  return go();
});
wrap(CanvasRenderingContext2D?.prototype, "clearRect", (self, values, go) => {
  if (drawnOn.has(self)) emptied.add(self.canvas);
  drawnLast = null;
  return go();
});

// Without a graphics card, shaders cost far more than all else, and a page is called for many frames that nobody is shown:
// of what it draws in them straight into itself, most is left out, the more the larger it is, and what it draws is waited
// for. Nothing is left out where the page goes on from what it has drawn, in its first frames, once a loop of it has ended by
// itself, and from when it draws a single frame until a loop has run for a while: it may draw only when something has changed.
const pixelsPerFrame = 50_000, framesPerDrawingMax = 16, firstFrames = 10, loopFrames = 30;
const elsewhere = new WeakMap(), shown = new WeakMap();
let goesOn = false, hasEnded = false;
const pixelsOf = ({ drawingBufferWidth, drawingBufferHeight }) => drawingBufferWidth * drawingBufferHeight;
// Whether all of this frame is left out; decided once for each.
const isLeftOut = (context) => {
  const { canvas } = context;
  if (inARow >= loopFrames) hasEnded = false;
  if (!running || goesOn || hasEnded || elsewhere.get(context) || !canvas.isConnected) return false;
  const last = shown.get(canvas) ?? { frame: 0, frames: 0, at: 0, pixels: 0, isLeftOut: false };
  if (last.frame === frame) return last.isLeftOut;
  const pixels = pixelsOf(context);
  const every = Math.min(framesPerDrawingMax, Math.ceil(pixels / pixelsPerFrame));
  const isDue = last.frames < firstFrames || last.pixels !== pixels || frameAt - last.at >= every * pace;
  shown.set(canvas, { frame, frames: last.frames + 1, at: isDue ? frameAt : last.at, pixels, isLeftOut: !isDue });
  if (!isDue) {
    leftOut = () => {
      if (waiting.size) return;
      hasEnded = true;
      // A loop that ends by itself may draw what it is for with its last frame.
      goesOn ||= inARow >= loopFrames;
    };
  }
  return !isDue;
};
for (const kind of [globalThis.WebGLRenderingContext, globalThis.WebGL2RenderingContext]) {
  if (!kind) continue;
  const { prototype, READ_FRAMEBUFFER, READ_FRAMEBUFFER_BINDING, PIXEL_PACK_BUFFER_BINDING, RGBA, UNSIGNED_BYTE } = kind;
  const { readPixels, getParameter, getContextAttributes } = prototype;
  // `finish` does not wait in this browser; who reads a pixel has to.
  const wait = (context) => {
    const isBound = [READ_FRAMEBUFFER_BINDING, PIXEL_PACK_BUFFER_BINDING].some((binding) => binding && getParameter.call(context, binding));
    if (!elsewhere.get(context) && !isBound) readPixels.call(context, 0, 0, 1, 1, RGBA, UNSIGNED_BYTE, new Uint8Array(4));
  };
  for (const name of ["clear", "clearBufferfv", "drawArrays", "drawElements", "drawArraysInstanced", "drawElementsInstanced", "drawRangeElements"]) {
    wrap(prototype, name, (self, values, go) => {
      if (!name.startsWith("clear")) draws += 1;
      if (!shown.has(self.canvas)) goesOn ||= Boolean(getContextAttributes.call(self)?.preserveDrawingBuffer);
      if (isLeftOut(self)) return undefined;
      if (running && pixelsOf(self) > pixelsPerFrame) awaited = () => wait(self);
      return go();
    });
  }
  wrap(prototype, "bindFramebuffer", (self, [target, buffer], go) => {
    if (target !== READ_FRAMEBUFFER) elsewhere.set(self, Boolean(buffer));
    return go();
  });
  for (const name of ["readPixels", "copyTexImage2D", "copyTexSubImage2D", "blitFramebuffer", "beginTransformFeedback"]) {
    wrap(prototype, name, (self, values, go) => {
      goesOn = true;
      return go();
    });
  }
  for (const name of ["texImage2D", "texSubImage2D"]) {
    wrap(prototype, name, (self, values, go) => {
      goesOn ||= values.some((value) => shown.has(value));
      return go();
    });
  }
  wrap(prototype, "getExtension", (self, [name], go) => {
    // These draw in ways of their own.
    goesOn ||= /instanced|multi_draw/i.test(name);
    return go();
  });
}
wrap(globalThis, "createImageBitmap", (self, [image], go) => {
  goesOn ||= shown.has(image);
  return go();
});
for (const name of ["toDataURL", "toBlob", "captureStream"]) {
  wrap(HTMLCanvasElement.prototype, name, (self, values, go) => {
    goesOn ||= shown.has(self);
    return go();
  });
}

// A canvas that style has made larger or smaller than it is drawn, and in another place more so: to a page that asks where it
// lies when it is pressed, and never how large it is, the press is elsewhere in it.
const boxes = new WeakMap(), stretches = new WeakMap();
const { get: eventNow } = Object.getOwnPropertyDescriptor(globalThis, "event") ?? {};
const { get: clientWidthOf } = Object.getOwnPropertyDescriptor(Element.prototype, "clientWidth");
const stretchMin = 0.1;
const here = location.href;
const isOfPage = () => String(new Error().stack).includes(here);
const holdsCanvas = (element) => element instanceof HTMLCanvasElement || element.getElementsByTagName("canvas").length > 0;
let stretched = null, isMeasured = false;
wrap(Element.prototype, "getBoundingClientRect", (self, values, go) => {
  const box = go();
  boxes.set(box, self);
  return box;
});
for (const [holder, name] of [[DOMRect, "width"], [DOMRect, "height"], [DOMRectReadOnly, "right"], [DOMRectReadOnly, "bottom"]]) {
  wrap(holder.prototype, name, (self, values, go) => {
    isMeasured ||= boxes.has(self) && holdsCanvas(boxes.get(self)) && isOfPage();
    return go();
  });
}
for (const [holder, name] of [[DOMRect, "x"], [DOMRectReadOnly, "left"]]) {
  wrap(holder.prototype, name, (self, values, go) => {
    const canvas = boxes.get(self);
    const event = !stretched && canvas instanceof HTMLCanvasElement && eventNow?.call(globalThis);
    const isPressed = (event instanceof MouseEvent || event instanceof TouchEvent) && event.target === canvas;
    const shownWidth = isPressed ? clientWidthOf.call(canvas) : 0;
    const stretch = shownWidth / canvas?.width;
    if (stretch > 0 && !stretches.has(canvas)) stretches.set(canvas, stretch);
    if (stretch > 0 && Math.abs(stretch / stretches.get(canvas) - 1) > stretchMin) {
      const name = canvas.id ? `canvas#${canvas.id.slice(0, 40)}` : "a canvas";
      stretched = `${name} is ${canvas.width} px wide and shown ${shownWidth} px wide\n${new Error().stack}`;
    }
    return go();
  });
}
listen("mondo:coverage", () => {
  if (stretched && !isMeasured) send(encode(["stretched", stretched, "", 0, 0]));
});
