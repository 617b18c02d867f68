// Fireworks: rockets rise, burst in one of several patterns, and their sparks fall.
const ctx = openCanvas();
const PATTERNS = ["ball", "ring", "willow"];
let rockets = [];
let sparks = [];
let wind = PARAMS.wind;
let pattern = 0;
let launched = 0;
let untilNext = 0.4;
let finale = 0;
let skyline = [];

function makeTower(index) {
  return { x: index * 34 - 6, width: between(22, 34), height: between(14, 62), lit: random() < 0.6 };
}

function reset() {
  rockets = [];
  sparks = [];
  launched = 0;
  finale = 0;
  skyline = Array.from({ length: 20 }, (_, index) => makeTower(index));
  showCounts();
}

function showCounts() {
  show("launched", launched);
  show("sparks", sparks.length);
  show("pattern", PATTERNS[pattern]);
}

function launch(x, y, kind) {
  const thing = things[launched % things.length];
  const rise = Math.sqrt(2 * 150 * Math.max(40, HEIGHT - y));
  rockets.push({ x: x - wind * 0.4, y: HEIGHT, vy: -rise, target: y, kind, thing, color: pick(colors.accents) });
  launched += 1;
}

function launchAnywhere() {
  launch(between(70, WIDTH - 70), between(50, 190), PATTERNS[Math.floor(random() * PATTERNS.length)]);
}

function velocity(kind, index, count) {
  const angle = (index / count) * TAU;
  if (kind === "ring") return { x: Math.cos(angle) * 105, y: Math.sin(angle) * 52 };
  const power = kind === "willow" ? between(20, 75) : between(30, 120);
  return { x: Math.cos(angle) * power, y: Math.sin(angle) * power - (kind === "willow" ? 45 : 0) };
}

function burst(rocket) {
  const count = PARAMS.sparks;
  for (let index = 0; index < count; index += 1) {
    const { x, y } = velocity(rocket.kind, index, count);
    const life = rocket.kind === "willow" ? between(1.8, 2.8) : between(0.9, 1.7);
    sparks.push({ x: rocket.x, y: rocket.y, vx: x, vy: y, life, full: life, color: rocket.color });
  }
  sparks.push({ x: rocket.x, y: rocket.y, vx: 0, vy: 0, life: 1.2, full: 1.2, thing: rocket.thing, color: rocket.color });
  sparks = sparks.slice(-900);
}

function startFinale() {
  finale = PARAMS.finale;
  say(`The finale: ${PARAMS.finale} rockets at once.`);
}

function choosePattern(index) {
  pattern = index;
  showCounts();
  say(`The next rockets burst as a ${PATTERNS[index]}.`);
}

function step(seconds) {
  untilNext -= seconds;
  if (untilNext <= 0) {
    launchAnywhere();
    untilNext = finale > 0 ? 0.09 : between(0.5, 1.1) * (PARAMS.pauseTenths / 10);
    finale = Math.max(0, finale - 1);
  }
  for (const rocket of rockets) {
    rocket.vy += 150 * seconds;
    rocket.y += rocket.vy * seconds;
    rocket.x += wind * 0.4 * seconds;
    if (rocket.vy >= -12 || rocket.y <= rocket.target) burst(rocket);
  }
  rockets = rockets.filter((rocket) => rocket.vy < -12 && rocket.y > rocket.target);
  for (const spark of sparks) {
    spark.life -= seconds;
    spark.vx += (wind - spark.vx * 0.9) * seconds;
    spark.vy += (58 - spark.vy * 0.6) * seconds;
    spark.x += spark.vx * seconds;
    spark.y += spark.vy * seconds;
  }
  sparks = sparks.filter((spark) => spark.life > 0);
}

function drawSky() {
  clear(ctx, colors.panel);
  const dusk = ctx.createLinearGradient(0, 0, 0, HEIGHT);
  dusk.addColorStop(0, fade(colors.back, 0.9));
  dusk.addColorStop(1, fade(colors.accents[3], 0.3));
  clear(ctx, dusk);
}

function drawTower(tower) {
  ctx.fillStyle = fade(colors.ink, 0.28);
  ctx.fillRect(tower.x, HEIGHT - tower.height, tower.width, tower.height);
  if (tower.lit) {
    ctx.fillStyle = fade(colors.accents[0], 0.8);
    ctx.fillRect(tower.x + tower.width / 2 - 3, HEIGHT - tower.height + 8, 5, 6);
  }
}

function drawSpark(spark) {
  const light = clamp(spark.life / spark.full, 0, 1);
  if (spark.thing) {
    drawThing(ctx, spark.thing, spark.x, spark.y, 30 + (1 - light) * 34, 0, fade(spark.color, light));
    return;
  }
  line(ctx, spark.x - spark.vx * 0.06, spark.y - spark.vy * 0.06, spark.x, spark.y, fade(spark.color, light), 2.2);
}

function draw() {
  drawSky();
  for (const tower of skyline) drawTower(tower);
  for (const rocket of rockets) line(ctx, rocket.x, rocket.y + 14, rocket.x, rocket.y, rocket.color, 3);
  for (const spark of sparks) drawSpark(spark);
  showCounts();
}

onClick("finale", () => {
  startFinale();
});
onClick("launch", () => {
  launch(between(90, WIDTH - 90), between(50, 160), PATTERNS[pattern]);
  say("One more rocket.");
});
onSlide("wind", (value) => {
  wind = value;
});
onPointer((point) => {
  launch(point.x, point.y, PATTERNS[pattern]);
});
onKeys({
  1: () => choosePattern(0),
  2: () => choosePattern(1),
  3: () => choosePattern(2),
  " ": () => launchAnywhere(),
  ArrowRight: () => choosePattern((pattern + 1) % PATTERNS.length),
});
reset();
startLoop(step, draw);
