// A gas in a box: particles fly straight, bounce off the walls, and their hits on the walls are the pressure.
const ctx = openCanvas();
const FLOOR = 290;
let particles = [];
let warmth = PARAMS.warmth;
let piston = PARAMS.piston;
let hits = 0;
let pressure = 0;
let sinceMeasure = 0;
let bars = [];

function makeParticle(index) {
  const kind = index % things.length;
  const angle = between(0, TAU);
  const particle = { kind, thing: things[kind], x: between(30, piston - 20), y: between(30, FLOOR - 20), vx: 0, vy: 0, mass: 1 + kind * PARAMS.heavier };
  const speed = usualSpeed(particle) * between(0.5, 1.5);
  particle.vx = Math.cos(angle) * speed;
  particle.vy = Math.sin(angle) * speed;
  return particle;
}

// Heavy particles are slower at the same temperature.
function usualSpeed(particle) {
  return Math.sqrt((warmth * 190) / particle.mass);
}

function reset() {
  particles = [];
  for (let index = 0; index < PARAMS.particles; index += 1) particles.push(makeParticle(index));
  hits = 0;
  pressure = 0;
  bars = new Array(16).fill(0);
  showValues();
}

function showValues() {
  const speeds = particles.map((particle) => Math.hypot(particle.vx, particle.vy));
  const mean = speeds.reduce((sum, speed) => sum + speed, 0) / Math.max(1, speeds.length);
  show("count", particles.length);
  show("pressure", pressure.toFixed(1));
  show("speed", mean.toFixed(0));
}

function inject() {
  for (let index = 0; index < 8; index += 1) particles.push(makeParticle(index));
  particles = particles.slice(-PARAMS.particles - 40);
  say("Eight more particles.");
}

function heatBy(amount) {
  warmth = clamp(warmth + amount, 5, 100);
  byId("warmth").value = warmth;
  show("warmth-value", warmth);
}

function setPiston(x) {
  piston = clamp(x, 180, WIDTH - 30);
  for (const particle of particles) particle.x = Math.min(particle.x, piston - 8);
}

function bounce(particle) {
  if (particle.x < 16 || particle.x > piston - 8) {
    particle.vx = -particle.vx;
    hits += particle.mass * Math.abs(particle.vx);
  }
  if (particle.y < 16 || particle.y > FLOOR - 8) {
    particle.vy = -particle.vy;
    hits += particle.mass * Math.abs(particle.vy);
  }
  particle.x = clamp(particle.x, 16, piston - 8);
  particle.y = clamp(particle.y, 16, FLOOR - 8);
}

// Two particles that touch swap speeds as elastic balls do.
function collide(one, two) {
  const dx = two.x - one.x;
  const dy = two.y - one.y;
  const distance = Math.hypot(dx, dy);
  if (distance > 12 || distance === 0) return;
  const nx = dx / distance;
  const ny = dy / distance;
  const closing = (one.vx - two.vx) * nx + (one.vy - two.vy) * ny;
  if (closing <= 0) return;
  const impulse = (2 * closing) / (one.mass + two.mass);
  one.vx -= impulse * two.mass * nx;
  one.vy -= impulse * two.mass * ny;
  two.vx += impulse * one.mass * nx;
  two.vy += impulse * one.mass * ny;
}

function step(seconds) {
  for (const particle of particles) {
    const speed = Math.hypot(particle.vx, particle.vy) || 1;
    const energy = (particle.mass * speed * speed) / (warmth * 190);
    const factor = 1 + clamp(1 - energy, -1, 1) * 0.12 * seconds;
    particle.vx *= factor;
    particle.vy *= factor;
    particle.x += particle.vx * seconds;
    particle.y += particle.vy * seconds;
    bounce(particle);
  }
  for (let one = 0; one < particles.length; one += 1) {
    for (let two = one + 1; two < particles.length; two += 1) collide(particles[one], particles[two]);
  }
  sinceMeasure += seconds;
  if (sinceMeasure > 0.5) measure();
}

function measure() {
  const wall = 2 * (piston + FLOOR);
  pressure = pressure * 0.5 + (hits / sinceMeasure / wall) * 0.5;
  hits = 0;
  sinceMeasure = 0;
}

function drawBox() {
  ctx.fillStyle = fade(colors.accents[1], clamp(warmth / 260, 0.03, 0.4));
  ctx.fillRect(8, 8, piston - 8, FLOOR - 8);
  ctx.strokeStyle = colors.ink;
  ctx.lineWidth = 3;
  ctx.strokeRect(8, 8, piston - 8, FLOOR - 8);
  ctx.fillStyle = colors.soft;
  ctx.fillRect(piston, 8, 14, FLOOR - 8);
  line(ctx, piston + 14, FLOOR / 2, WIDTH, FLOOR / 2, colors.soft, 10);
}

function drawSpeeds() {
  const counts = new Array(16).fill(0);
  for (const particle of particles) {
    const speed = Math.hypot(particle.vx, particle.vy);
    counts[clamp(Math.floor(speed / 22), 0, 15)] += 1;
  }
  for (let bar = 0; bar < 16; bar += 1) {
    bars[bar] += (counts[bar] - bars[bar]) * 0.1;
    const height = Math.min(80, bars[bar] * 6);
    ctx.fillStyle = colors.accents[bar % 2 === 0 ? 2 : 4];
    ctx.fillRect(14 + bar * 38.5, HEIGHT - 8 - height, 32, height + 2);
  }
  label(ctx, "slow", 40, FLOOR + 16, colors.soft, 15);
  label(ctx, "fast", WIDTH - 40, FLOOR + 16, colors.soft, 15);
}

function draw() {
  clear(ctx, colors.panel);
  drawBox();
  for (const particle of particles) drawThing(ctx, particle.thing, particle.x, particle.y, 13 + particle.mass * 2, 0);
  drawSpeeds();
  showValues();
}

onClick("inject", () => {
  inject();
});
onClick("fresh", () => {
  reset();
  say("A fresh filling.");
});
onSlide("warmth", (value) => {
  warmth = value;
});
let pulling = false;
onPointer(
  (point) => {
    pulling = true;
    setPiston(point.x);
  },
  (point) => {
    if (pulling) setPiston(point.x);
  },
  () => {
    pulling = false;
  },
);
onKeys({
  ArrowUp: () => heatBy(5),
  ArrowDown: () => heatBy(-5),
  ArrowLeft: () => setPiston(piston - 20),
  ArrowRight: () => setPiston(piston + 20),
  i: () => inject(),
});
reset();
startLoop(step, draw);
