// Rain on a pond: every drop leaves a ring that grows and fades, and rings rock what floats.
const ctx = openCanvas();
let rings = [];
let drops = [];
let floating = [];
let pads = [];
let rain = PARAMS.rain;
let gust = 0;
let fallen = 0;
let clock = 0;

function makeFloater(index) {
  return {
    thing: things[index % things.length],
    x: between(70, WIDTH - 70),
    y: between(60, HEIGHT - 60),
    vx: 0,
    vy: 0,
    angle: between(-0.2, 0.2),
    size: between(34, 54),
    phase: between(0, TAU),
  };
}

function makePad() {
  return { x: between(30, WIDTH - 30), y: between(30, HEIGHT - 30), radius: between(16, 32), notch: between(0, TAU) };
}

function reset() {
  rings = [];
  drops = [];
  fallen = 0;
  floating = [];
  for (let index = 0; index < PARAMS.floaters; index += 1) floating.push(makeFloater(index));
  pads = [];
  for (let index = 0; index < PARAMS.pads; index += 1) pads.push(makePad());
  showCounts();
}

function showCounts() {
  show("fallen", fallen);
  show("rings", rings.length);
}

function splash(x, y, strength) {
  rings.push({ x, y, radius: 2, strength, life: 1 });
  rings = rings.slice(-90);
  push(x, y, strength);
}

// Pushes everything that floats near a splash away from it.
function push(x, y, strength) {
  for (const item of floating) {
    const dx = item.x - x;
    const dy = item.y - y;
    const distance = Math.hypot(dx, dy) + 8;
    if (distance > 130) continue;
    item.vx += (dx / distance) * strength * (1 - distance / 140) * 30;
    item.vy += (dy / distance) * strength * (1 - distance / 140) * 30;
  }
}

function throwStone(x, y) {
  for (let ring = 0; ring < 3; ring += 1) rings.push({ x, y, radius: 2 + ring * -9, strength: 2.4, life: 1.3 });
  push(x, y, 3);
  say("A stone plops into the pond.");
}

function blow() {
  gust = 1.8;
  say(`A gust from the ${PARAMS.windFrom} crosses the water.`);
}

function moveFloater(item, seconds) {
  const side = PARAMS.windFrom === "left" ? 1 : -1;
  if (gust > 0) item.vx += side * 60 * seconds;
  item.vx -= item.vx * 0.8 * seconds;
  item.vy -= item.vy * 0.8 * seconds;
  item.x += item.vx * seconds;
  item.y += item.vy * seconds;
  if (item.x < 30 || item.x > WIDTH - 30) item.vx = -item.vx * 0.8;
  if (item.y < 30 || item.y > HEIGHT - 30) item.vy = -item.vy * 0.8;
  item.x = clamp(item.x, 30, WIDTH - 30);
  item.y = clamp(item.y, 30, HEIGHT - 30);
  item.angle = Math.sin(clock * 1.4 + item.phase) * 0.16 + item.vx * 0.004;
}

function step(seconds) {
  clock += seconds;
  gust = Math.max(0, gust - seconds);
  if (random() < rain * seconds * 2.2) drops.push({ x: between(0, WIDTH), y: between(0, HEIGHT), height: 150 });
  for (const drop of drops) {
    drop.height -= 420 * seconds;
    if (drop.height <= 0) {
      fallen += 1;
      splash(drop.x, drop.y, 0.8);
    }
  }
  drops = drops.filter((drop) => drop.height > 0);
  for (const ring of rings) {
    ring.radius += 46 * seconds;
    ring.life -= seconds * 0.6;
  }
  rings = rings.filter((ring) => ring.life > 0);
  for (const item of floating) moveFloater(item, seconds);
}

function drawWater() {
  const water = ctx.createLinearGradient(0, 0, WIDTH, HEIGHT);
  water.addColorStop(0, fade(colors.accents[2], 0.4));
  water.addColorStop(1, fade(colors.accents[3], 0.22));
  clear(ctx, colors.panel);
  clear(ctx, water);
  for (let band = 0; band < 7; band += 1) {
    const y = band * 62 + Math.sin(clock * 0.7 + band) * 7;
    line(ctx, 0, y, WIDTH, y + 24, fade(colors.ink, 0.04), 10);
  }
}

function drawPad(pad) {
  ctx.fillStyle = fade(colors.accents[4], 0.75);
  ctx.beginPath();
  ctx.moveTo(pad.x, pad.y);
  ctx.arc(pad.x, pad.y, pad.radius, pad.notch + 0.35, pad.notch + TAU - 0.2);
  ctx.fill();
}

function drawRing(ring) {
  if (ring.radius <= 0) return;
  ctx.strokeStyle = fade(colors.ink, ring.life * 0.55);
  ctx.lineWidth = 1 + ring.strength;
  ctx.beginPath();
  ctx.ellipse(ring.x, ring.y, ring.radius, ring.radius * 0.72, 0, 0, TAU);
  ctx.stroke();
}

function drawFloater(item) {
  ctx.fillStyle = fade(colors.back, 0.3);
  ctx.beginPath();
  ctx.ellipse(item.x, item.y + item.size * 0.42, item.size * 0.45, item.size * 0.14, 0, 0, TAU);
  ctx.fill();
  drawThing(ctx, item.thing, item.x, item.y, item.size, item.angle);
}

function draw() {
  drawWater();
  for (const pad of pads) drawPad(pad);
  for (const ring of rings) drawRing(ring);
  for (const item of floating) drawFloater(item);
  for (const drop of drops) line(ctx, drop.x, drop.y - drop.height - 14, drop.x, drop.y - drop.height, fade(colors.ink, 0.5), 2);
  showCounts();
}

onClick("gust", () => {
  blow();
});
onClick("calm", () => {
  reset();
  say("The pond is calm again.");
});
onSlide("rain", (value) => {
  rain = value;
});
onPointer((point) => {
  throwStone(point.x, point.y);
});
onKeys({
  " ": () => blow(),
  ArrowDown: () => throwStone(between(60, WIDTH - 60), between(60, HEIGHT - 60)),
  c: () => reset(),
});
reset();
startLoop(step, draw);
