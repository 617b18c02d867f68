// A flight through space: stars of several depths rush past, larger things drift by.
const ctx = openCanvas();
let stars = [];
let drifting = [];
let speed = PARAMS.speed;
let jump = 0;
let centre = { x: WIDTH / 2, y: HEIGHT / 2 };
let course = { x: 0, y: 0 };
let travelled = 0;
let passed = 0;

function makeStar() {
  return { x: between(-1, 1), y: between(-1, 1), depth: between(0.05, 1), color: pick([colors.ink, colors.ink, ...colors.accents]) };
}

function makeDrifter(x, y, depth) {
  return { thing: pick(things), x, y, depth, spin: between(-1, 1), angle: between(0, TAU) };
}

function reset() {
  stars = [];
  for (let index = 0; index < PARAMS.stars; index += 1) stars.push(makeStar());
  drifting = [];
  for (let index = 0; index < PARAMS.drifters; index += 1) addFarThing();
  travelled = 0;
  passed = 0;
  course = { x: 0, y: 0 };
  showCounts();
}

function addFarThing() {
  drifting.push(makeDrifter(between(-0.9, 0.9), between(-0.9, 0.9), between(0.5, 1)));
}

function showCounts() {
  show("distance", `${travelled.toFixed(1)} ly`);
  show("passed", passed);
}

function launch(x, y) {
  const depth = 0.35;
  const place = { x: ((x - centre.x) * depth) / 150, y: ((y - centre.y) * depth) / 150 };
  drifting.push(makeDrifter(place.x, place.y, depth));
  drifting = drifting.slice(-24);
  say(`A ${drifting[drifting.length - 1].thing.name} comes closer.`);
}

function startJump() {
  jump = 2.4;
  say("Jump! Hold on.");
}

function steerBy(x, y) {
  course.x = clamp(course.x + x, -1, 1);
  course.y = clamp(course.y + y, -1, 1);
}

function advance(item, amount) {
  item.depth -= amount;
  item.x -= course.x * amount * 0.8;
  item.y -= course.y * amount * 0.8;
}

function step(seconds) {
  jump = Math.max(0, jump - seconds);
  const amount = seconds * speed * 0.03 * (jump > 0 ? 6 : 1);
  travelled += amount * 4;
  centre.x += (WIDTH / 2 - course.x * 120 - centre.x) * seconds * 2;
  centre.y += (HEIGHT / 2 - course.y * 70 - centre.y) * seconds * 2;
  for (const star of stars) {
    advance(star, amount);
    if (star.depth < 0.04) Object.assign(star, makeStar(), { depth: 1 });
  }
  for (const item of drifting) {
    advance(item, amount * 0.6);
    item.angle += item.spin * seconds;
  }
  const before = drifting.length;
  drifting = drifting.filter((item) => item.depth > 0.06);
  passed += before - drifting.length;
  while (drifting.length < PARAMS.drifters) addFarThing();
}

function project(item) {
  return { x: centre.x + (item.x / item.depth) * 150, y: centre.y + (item.y / item.depth) * 150 };
}

function drawStar(star) {
  const place = project(star);
  const light = clamp(1.3 - star.depth, 0.15, 1);
  const length = (jump > 0 ? 26 : 3) * (1 - star.depth) * (speed / 10);
  const angle = Math.atan2(place.y - centre.y, place.x - centre.x);
  const tailX = place.x - Math.cos(angle) * length;
  const tailY = place.y - Math.sin(angle) * length;
  line(ctx, tailX, tailY, place.x + 0.8, place.y, fade(star.color, light), 1.2 + 2.4 * (1 - star.depth));
}

function drawDrifter(item) {
  const place = project(item);
  ctx.globalAlpha = clamp((1 - item.depth) * 3, 0, 1);
  drawThing(ctx, item.thing, place.x, place.y, 11 / item.depth, item.angle);
  ctx.globalAlpha = 1;
}

function drawSpace() {
  const glow = ctx.createRadialGradient(centre.x, centre.y, 10, centre.x, centre.y, 380);
  glow.addColorStop(0, fade(colors.accents[jump > 0 ? 0 : 3], 0.3));
  glow.addColorStop(1, fade(colors.accents[3], 0));
  clear(ctx, colors.panel);
  clear(ctx, glow);
}

function draw() {
  drawSpace();
  for (const star of stars) drawStar(star);
  for (const item of drifting) drawDrifter(item);
  showCounts();
}

onClick("jump", () => {
  startJump();
});
onClick("straight", () => {
  course = { x: 0, y: 0 };
  say("Straight ahead.");
});
onSlide("speed", (value) => {
  speed = value;
});
onPointer((point) => {
  launch(point.x, point.y);
});
onKeys({
  " ": () => startJump(),
  ArrowLeft: () => steerBy(-0.25, 0),
  ArrowRight: () => steerBy(0.25, 0),
  ArrowUp: () => steerBy(0, -0.25),
  ArrowDown: () => steerBy(0, 0.25),
});
reset();
startLoop(step, draw);
