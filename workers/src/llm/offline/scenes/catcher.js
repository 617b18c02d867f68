// Things fall from above: catch the good ones in the basket and let the last kind pass.
const ctx = openCanvas();
const RIM = HEIGHT - 46;
const bad = things[things.length - 1];
let basket = { x: WIDTH / 2, wanted: WIDTH / 2 };
let falling = [];
let bursts = [];
let score = 0;
let streak = 0;
let lives = 0;
let pace = PARAMS.pace;
let untilNext = 0;
let clouds = [];
let over = false;

function makeCloud() {
  return { x: between(0, WIDTH), y: between(24, 130), size: between(18, 40), speed: between(6, 16) };
}

function reset() {
  falling = [];
  bursts = [];
  score = 0;
  streak = 0;
  lives = PARAMS.lives;
  over = false;
  untilNext = 0;
  clouds = Array.from({ length: 5 }, () => makeCloud());
  showCounts();
}

function showCounts() {
  show("score", score);
  show("streak", streak);
  show("lives", lives);
}

function drop() {
  const thing = random() < PARAMS.badShare / 100 ? bad : pick(things.slice(0, -1));
  falling.push({ thing, x: between(30, WIDTH - 30), y: -20, vy: between(50, 90) + pace * 14, angle: between(0, TAU), spin: between(-2, 2) });
}

function catchThing(item) {
  if (item.thing === bad) {
    streak = 0;
    loseLife(`Ouch: ${item.thing.name}.`);
  } else {
    streak += 1;
    score += 5 * Math.min(streak, PARAMS.streakMax);
    say(`Caught: ${item.thing.name}.`);
  }
  bursts.push({ x: item.x, y: RIM, life: 1, color: item.thing.color });
  showCounts();
}

function loseLife(reason) {
  lives = Math.max(0, lives - 1);
  say(reason);
  if (lives > 0) return;
  over = true;
  say(`${reason} The basket is full of trouble: ${score} points. Enter starts again.`);
}

function pass(item) {
  if (item.thing === bad) return;
  streak = 0;
  showCounts();
}

function moveBasket(x) {
  basket.wanted = clamp(x, 44, WIDTH - 44);
}

function step(seconds) {
  basket.x += (basket.wanted - basket.x) * Math.min(1, seconds * 10);
  for (const cloud of clouds) cloud.x = cloud.x > WIDTH + 60 ? -60 : cloud.x + cloud.speed * seconds;
  for (const burst of bursts) burst.life -= seconds * 1.8;
  bursts = bursts.filter((burst) => burst.life > 0);
  if (over) return;
  untilNext -= seconds;
  if (untilNext <= 0) {
    drop();
    untilNext = between(0.5, 1.1) * (10 / (6 + pace));
  }
  for (const item of falling) {
    item.vy += 40 * seconds;
    item.y += item.vy * seconds;
    item.angle += item.spin * seconds;
    item.done = item.y > RIM && item.y < RIM + 26 && Math.abs(item.x - basket.x) < 46;
    if (item.done) catchThing(item);
    else if (item.y > HEIGHT + 24) pass(item);
  }
  falling = falling.filter((item) => !item.done && item.y <= HEIGHT + 24);
}

function drawSky() {
  const sky = ctx.createLinearGradient(0, 0, 0, HEIGHT);
  sky.addColorStop(0, fade(colors.accents[2], 0.34));
  sky.addColorStop(1, fade(colors.accents[2], 0.04));
  clear(ctx, colors.panel);
  clear(ctx, sky);
  ctx.fillStyle = fade(colors.accents[4], 0.4);
  ctx.fillRect(0, HEIGHT - 18, WIDTH, 18);
}

function drawCloud(cloud) {
  const color = fade(colors.ink, 0.1);
  disc(ctx, cloud.x, cloud.y, cloud.size * 0.7, color);
  disc(ctx, cloud.x + cloud.size, cloud.y + 4, cloud.size * 0.55, color);
  disc(ctx, cloud.x - cloud.size, cloud.y + 5, cloud.size * 0.5, color);
}

function drawBasket() {
  const { x } = basket;
  ctx.fillStyle = colors.accents[3];
  ctx.beginPath();
  ctx.moveTo(x - 46, RIM);
  ctx.lineTo(x + 46, RIM);
  ctx.lineTo(x + 32, RIM + 34);
  ctx.lineTo(x - 32, RIM + 34);
  ctx.closePath();
  ctx.fill();
  for (let stripe = -2; stripe <= 2; stripe += 1) {
    line(ctx, x + stripe * 17, RIM + 2, x + stripe * 12, RIM + 33, fade(colors.panel, 0.5), 3);
  }
  line(ctx, x - 48, RIM, x + 48, RIM, colors.ink, 5);
}

function draw() {
  drawSky();
  for (const cloud of clouds) drawCloud(cloud);
  for (const item of falling) drawThing(ctx, item.thing, item.x, item.y, 36, item.angle);
  drawBasket();
  for (const burst of bursts) disc(ctx, burst.x, burst.y - 10, 30 * (1.2 - burst.life), fade(burst.color, burst.life * 0.5));
  if (over) label(ctx, "Game over", WIDTH / 2, HEIGHT / 2, colors.ink, 36);
}

onClick("again", () => {
  reset();
  say(`Catch everything except: ${bad.name}.`);
});
onSlide("pace", (value) => {
  pace = value;
});
onPointer(
  (point) => moveBasket(point.x),
  (point) => moveBasket(point.x),
);
onKeys({
  ArrowLeft: () => moveBasket(basket.wanted - 60),
  ArrowRight: () => moveBasket(basket.wanted + 60),
  Enter: () => reset(),
  " ": () => togglePause(),
});
reset();
say(`Catch everything except: ${bad.name}.`);
startLoop(step, draw);
