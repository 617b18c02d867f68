// A double pendulum: two swinging weights that obey exact equations and still never repeat themselves.
const ctx = openCanvas();
const PIVOT = { x: WIDTH / 2, y: 195 };
let arms = [];
let trail = [];
let gravity = PARAMS.gravity;
let damping = PARAMS.damping / 1000;
let flips = 0;
let held = -1;

function makeArm(index) {
  const length = index === 0 ? PARAMS.upper : PARAMS.lower;
  return { length, mass: index === 0 ? PARAMS.massUpper : PARAMS.massLower, angle: between(1.4, 2.6), speed: 0, thing: things[index % things.length] };
}

function reset() {
  arms = [makeArm(0), makeArm(1)];
  trail = [];
  flips = 0;
  showEnergy();
}

// Accelerations of both arms for given angles and speeds.
function accelerations(a1, a2, w1, w2) {
  const [{ length: l1, mass: m1 }, { length: l2, mass: m2 }] = arms;
  const g = gravity * 12;
  const delta = a1 - a2;
  const shared = 2 * m1 + m2 - m2 * Math.cos(2 * delta);
  const pull = -g * (2 * m1 + m2) * Math.sin(a1) - m2 * g * Math.sin(a1 - 2 * a2);
  const swing = 2 * Math.sin(delta) * m2 * (w2 * w2 * l2 + w1 * w1 * l1 * Math.cos(delta));
  const first = (pull - swing) / (l1 * shared);
  const chase = w1 * w1 * l1 * (m1 + m2) + g * (m1 + m2) * Math.cos(a1) + w2 * w2 * l2 * m2 * Math.cos(delta);
  const second = (2 * Math.sin(delta) * chase) / (l2 * shared);
  return [first - damping * w1, second - damping * w2];
}

// One step of the classical Runge-Kutta method for both arms.
function integrate(seconds) {
  const [one, two] = arms;
  const start = [one.angle, two.angle, one.speed, two.speed];
  const slope = (state) => [state[2], state[3], ...accelerations(...state)];
  const ahead = (by, amount) => start.map((value, index) => value + by[index] * amount);
  const k1 = slope(start);
  const k2 = slope(ahead(k1, seconds / 2));
  const k3 = slope(ahead(k2, seconds / 2));
  const k4 = slope(ahead(k3, seconds));
  const next = start.map((value, index) => value + (seconds / 6) * (k1[index] + 2 * k2[index] + 2 * k3[index] + k4[index]));
  [one.angle, two.angle] = next;
  one.speed = clamp(next[2], -25, 25);
  two.speed = clamp(next[3], -25, 25);
}

function places() {
  const elbow = { x: PIVOT.x + Math.sin(arms[0].angle) * arms[0].length, y: PIVOT.y + Math.cos(arms[0].angle) * arms[0].length };
  const end = { x: elbow.x + Math.sin(arms[1].angle) * arms[1].length, y: elbow.y + Math.cos(arms[1].angle) * arms[1].length };
  return [elbow, end];
}

function showEnergy() {
  const height = -arms[0].length * Math.cos(arms[0].angle) - arms[1].length * Math.cos(arms[1].angle);
  show("swing", `${((arms[0].angle * 180) / Math.PI).toFixed(0)}°`);
  show("height", (height / 10).toFixed(1));
  show("flips", flips);
}

function push(direction) {
  arms[0].speed += direction * 3;
  arms[1].speed += direction * 5;
  say(direction > 0 ? "A push to the right." : "A push to the left.");
}

function step(seconds) {
  if (held >= 0) return;
  const before = Math.floor((arms[1].angle + Math.PI) / TAU);
  for (let part = 0; part < 6; part += 1) integrate(seconds / 6);
  if (Math.floor((arms[1].angle + Math.PI) / TAU) !== before) flips += 1;
  trail.push(places()[1]);
  trail = trail.slice(-PARAMS.trail);
}

function drawTrail() {
  for (let index = 1; index < trail.length; index += 1) {
    const share = index / trail.length;
    const color = fade(colors.accents[2], share);
    line(ctx, trail[index - 1].x, trail[index - 1].y, trail[index].x, trail[index].y, color, 1 + share * 3);
  }
}

function drawArms() {
  const [elbow, end] = places();
  ctx.lineCap = "round";
  line(ctx, PIVOT.x, PIVOT.y, elbow.x, elbow.y, colors.ink, 5);
  line(ctx, elbow.x, elbow.y, end.x, end.y, colors.ink, 4);
  disc(ctx, PIVOT.x, PIVOT.y, 7, colors.ink);
  drawThing(ctx, arms[0].thing, elbow.x, elbow.y, 26 + arms[0].mass * 3, -arms[0].angle);
  drawThing(ctx, arms[1].thing, end.x, end.y, 26 + arms[1].mass * 3, -arms[1].angle);
}

function draw() {
  clear(ctx, colors.panel);
  disc(ctx, PIVOT.x, PIVOT.y, PARAMS.upper + PARAMS.lower, fade(colors.accents[3], 0.08));
  drawTrail();
  drawArms();
  showEnergy();
}

function grab(point) {
  const [elbow, end] = places();
  const distance = (place) => Math.hypot(place.x - point.x, place.y - point.y);
  held = distance(end) <= distance(elbow) ? 1 : 0;
  drag(point);
}

function drag(point) {
  if (held < 0) return;
  const from = held === 0 ? PIVOT : places()[0];
  arms[held].angle = Math.atan2(point.x - from.x, point.y - from.y);
  arms[0].speed = 0;
  arms[1].speed = 0;
  trail = [];
}

function letGo() {
  if (held >= 0) say("Let go: it swings from there.");
  held = -1;
}

onClick("push", () => {
  push(1);
});
onClick("again", () => {
  reset();
  say("A new start from another angle.");
});
onSlide("gravity", (value) => {
  gravity = value;
});
onSlide("damping", (value) => {
  damping = value / 1000;
});
onPointer(grab, drag, letGo);
onKeys({
  ArrowRight: () => push(1),
  ArrowLeft: () => push(-1),
  " ": () => togglePause(),
  n: () => reset(),
});
reset();
startLoop(step, draw);
