// Bodies around a star: each falls towards it and misses, because it is fast enough.
const ctx = openCanvas();
const SUN = { x: WIDTH / 2, y: HEIGHT / 2 };
let bodies = [];
let pull = PARAMS.mass * 40000;
let zoom = 1;
let years = 0;
let lost = 0;
let shimmer = [];

function circularSpeed(distance) {
  return Math.sqrt(pull / distance);
}

function makeBody(index, distance, angle) {
  const speed = circularSpeed(distance) * between(0.92, 1.06);
  return {
    thing: things[index % things.length],
    color: colors.accents[(index + 1) % colors.accents.length],
    x: Math.cos(angle) * distance,
    y: Math.sin(angle) * distance,
    vx: -Math.sin(angle) * speed,
    vy: Math.cos(angle) * speed,
    size: between(16, 30),
    path: [],
  };
}

function reset() {
  bodies = [];
  for (let index = 0; index < PARAMS.bodies; index += 1) {
    bodies.push(makeBody(index, 55 + index * (135 / PARAMS.bodies), between(0, TAU)));
  }
  shimmer = Array.from({ length: 90 }, () => ({ x: between(0, WIDTH), y: between(0, HEIGHT), light: between(0.1, 0.6) }));
  years = 0;
  lost = 0;
  showCounts();
}

function showCounts() {
  show("bodies", bodies.length);
  show("years", years.toFixed(1));
  show("lost", lost);
}

function launch(x, y) {
  const dx = (x - SUN.x) / zoom;
  const dy = (y - SUN.y) / zoom;
  const distance = Math.max(30, Math.hypot(dx, dy));
  bodies.push(makeBody(bodies.length, distance, Math.atan2(dy, dx)));
  bodies = bodies.slice(-16);
  say(`A ${bodies[bodies.length - 1].thing.name} starts at distance ${Math.round(distance)}.`);
}

function disturb() {
  for (const body of bodies) {
    body.vx *= between(0.75, 1.2);
    body.vy *= between(0.75, 1.2);
  }
  say("Something heavy passed by: all orbits are disturbed.");
}

function move(body, seconds) {
  const distance = Math.hypot(body.x, body.y) + 0.1;
  const force = pull / (distance * distance * distance);
  body.vx -= body.x * force * seconds;
  body.vy -= body.y * force * seconds;
  body.x += body.vx * seconds;
  body.y += body.vy * seconds;
}

function step(seconds) {
  years += seconds * 0.5;
  for (const body of bodies) {
    for (let part = 0; part < 4; part += 1) move(body, seconds / 4);
    body.path.push({ x: body.x, y: body.y });
    if (body.path.length > PARAMS.trail) body.path.shift();
  }
  const before = bodies.length;
  bodies = bodies.filter((body) => {
    const distance = Math.hypot(body.x, body.y);
    return distance > 14 && distance < 900;
  });
  lost += before - bodies.length;
}

function toScreen(place) {
  return { x: SUN.x + place.x * zoom, y: SUN.y + place.y * zoom };
}

function drawStar() {
  const size = (16 + PARAMS.mass * 1.2) * zoom;
  const glow = ctx.createRadialGradient(SUN.x, SUN.y, size * 0.4, SUN.x, SUN.y, size * 3.4);
  glow.addColorStop(0, fade(colors.accents[0], 0.75));
  glow.addColorStop(1, fade(colors.accents[0], 0));
  clear(ctx, glow);
  disc(ctx, SUN.x, SUN.y, size, colors.accents[0]);
  disc(ctx, SUN.x - size * 0.25, SUN.y - size * 0.25, size * 0.6, fade(colors.ink, 0.16));
}

function drawBody(body) {
  for (let index = 1; index < body.path.length; index += 1) {
    const from = toScreen(body.path[index - 1]);
    const to = toScreen(body.path[index]);
    line(ctx, from.x, from.y, to.x, to.y, fade(body.color, index / body.path.length), 1.6);
  }
  const place = toScreen(body);
  drawThing(ctx, body.thing, place.x, place.y, body.size * Math.sqrt(zoom), Math.atan2(body.vy, body.vx), body.color);
}

function draw() {
  clear(ctx, colors.panel);
  for (const spot of shimmer) disc(ctx, spot.x, spot.y, 1, fade(colors.ink, spot.light));
  drawStar();
  for (const body of bodies) drawBody(body);
  showCounts();
}

function zoomBy(factor) {
  zoom = clamp(zoom * factor, 0.4, 2.2);
  say(`Magnification ${zoom.toFixed(2)}.`);
}

onClick("disturb", () => {
  disturb();
});
onClick("restart", () => {
  reset();
  say("A fresh system.");
});
onSlide("mass", (value) => {
  pull = value * 40000;
});
onPointer((point) => {
  launch(point.x, point.y);
});
onKeys({
  ArrowUp: () => zoomBy(1.15),
  ArrowDown: () => zoomBy(1 / 1.15),
  d: () => disturb(),
  " ": () => togglePause(),
});
reset();
startLoop(step, draw);
