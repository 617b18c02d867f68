// ---- Common pieces: every scene is 640 by 400 units, whatever its size on the screen. ----

const WIDTH = 640;
const HEIGHT = 400;
const TAU = Math.PI * 2;
const colors = PARAMS.colors;
const things = PARAMS.things;
const hints = PARAMS.hints;

function byId(id) {
  return document.getElementById(id);
}

// A small generator of repeatable random numbers: the same page always starts the same way.
let randomState = PARAMS.seed >>> 0;
function random() {
  randomState = (randomState + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(randomState ^ (randomState >>> 15), 1 | randomState);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
}

function between(low, high) {
  return low + random() * (high - low);
}

function pick(list) {
  return list[Math.floor(random() * list.length)];
}

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

function say(text) {
  byId("status").textContent = text;
}

function show(id, value) {
  byId(id).textContent = String(value);
}

// ---- Drawing ----

function openCanvas() {
  const canvas = byId("stage");
  const ctx = canvas.getContext("2d");
  function fit() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.round((canvas.width * HEIGHT) / WIDTH);
    ctx.setTransform(canvas.width / WIDTH, 0, 0, canvas.height / HEIGHT, 0, 0);
  }
  window.addEventListener("resize", fit);
  fit();
  return ctx;
}

// A colour of the palette with some transparency, 0 (clear) to 1 (full).
function fade(color, alpha) {
  const part = (at) => parseInt(color.slice(at, at + 2), 16);
  return `rgba(${part(1)}, ${part(3)}, ${part(5)}, ${clamp(alpha, 0, 1).toFixed(3)})`;
}

function clear(ctx, color) {
  ctx.fillStyle = color;
  ctx.fillRect(0, 0, WIDTH, HEIGHT);
}

function disc(ctx, x, y, radius, color) {
  ctx.fillStyle = color;
  ctx.beginPath();
  ctx.arc(x, y, Math.max(0, radius), 0, TAU);
  ctx.fill();
}

function line(ctx, x1, y1, x2, y2, color, width) {
  ctx.strokeStyle = color;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}

function label(ctx, text, x, y, color, size) {
  ctx.fillStyle = color;
  ctx.font = `600 ${size}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.fillText(text, x, y);
}

// Draws the outline of a thing; `size` is its whole height.
const outlines = new Map();
function drawThing(ctx, thing, x, y, size, angle, color) {
  if (!outlines.has(thing.name)) outlines.set(thing.name, new Path2D(thing.path));
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(angle);
  ctx.scale(size / 100, size / 100);
  ctx.fillStyle = color || thing.color;
  ctx.fill(outlines.get(thing.name), "evenodd");
  ctx.restore();
}

// Makes an element of an SVG picture.
function shape(parent, tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.appendChild(element);
  return element;
}

// ---- Controls ----

function onClick(id, action) {
  byId(id).addEventListener("click", (event) => {
    // After a click by mouse the keys belong to the scene again, not to the button.
    if (event.detail > 0) event.currentTarget.blur();
    action(event);
  });
}

function onSlide(id, action) {
  const slider = byId(id);
  function apply() {
    show(id + "-value", slider.value);
    action(Number(slider.value));
  }
  slider.addEventListener("input", apply);
  slider.addEventListener("pointerup", () => slider.blur());
  apply();
}

// `actions` is a table from key names to functions. The page does not scroll for keys that it uses, and a
// focused control keeps its own keys.
function onKeys(actions) {
  window.addEventListener("keydown", (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = actions[key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    const presses = key === " " || key === "Enter";
    if (event.target instanceof Element && event.target.closest(presses ? "input, button" : "input")) return;
    event.preventDefault();
    action(event);
  });
}

// Reports presses and moves on the scene in scene units.
function onPointer(press, move, release) {
  const stage = byId("stage");
  function place(event) {
    const box = stage.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * WIDTH,
      y: ((event.clientY - box.top) / box.height) * HEIGHT,
    };
  }
  stage.addEventListener("pointerdown", (event) => press(place(event), event));
  if (move) stage.addEventListener("pointermove", (event) => move(place(event), event));
  if (release) window.addEventListener("pointerup", (event) => release(place(event), event));
}

// ---- Time ----

let paused = false;

function togglePause() {
  paused = !paused;
  byId("pause").textContent = paused ? "Resume" : "Pause";
  byId("pause").setAttribute("aria-pressed", String(paused));
}

// Calls `step` with the seconds since the last frame unless paused, then `draw`.
function startLoop(step, draw) {
  let last = performance.now();
  function frame(now) {
    const seconds = clamp((now - last) / 1000, 0, 0.05);
    last = now;
    if (!paused) step(seconds);
    draw();
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);
}

// One hint after the other, all the time.
let hintTurn = 0;
function showHint(hint) {
  byId("hint-key").textContent = hint.key;
  byId("hint-text").textContent = hint.text;
}

function startHints() {
  showHint(hints[0]);
  setInterval(() => {
    hintTurn += 1;
    showHint(hints[hintTurn % hints.length]);
  }, PARAMS.hintMillis);
}

// Lets the scene fade in once its first frame is there.
function nextFrame() {
  return new Promise((resolve) => requestAnimationFrame(resolve));
}

async function reveal() {
  await nextFrame();
  document.body.classList.add("ready");
}

onClick("pause", togglePause);
startHints();
reveal();

// ---- The scene ----

