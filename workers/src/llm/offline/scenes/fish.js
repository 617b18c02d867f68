// A school: each swimmer keeps apart from its neighbours, turns with them and stays near them.
const ctx = openCanvas();
const NEAR = 60;
const APART = 22;
let school = [];
let crumbs = [];
let bubbles = [];
let weeds = [];
let togetherness = PARAMS.together;
let fright = 0;
let eaten = 0;
let clock = 0;

function makeSwimmer(index) {
  const angle = between(0, TAU);
  return {
    thing: things[index % things.length],
    x: between(40, WIDTH - 40),
    y: between(40, HEIGHT - 60),
    vx: Math.cos(angle) * PARAMS.speed,
    vy: Math.sin(angle) * PARAMS.speed,
    size: between(22, 36),
    phase: between(0, TAU),
  };
}

function makeWeed(index) {
  return { x: 30 + index * 58 + between(-16, 16), height: between(40, 120), phase: between(0, TAU) };
}

function reset() {
  school = [];
  for (let index = 0; index < PARAMS.count; index += 1) school.push(makeSwimmer(index));
  weeds = Array.from({ length: 11 }, (_, index) => makeWeed(index));
  crumbs = [];
  bubbles = [];
  eaten = 0;
  showCounts();
}

function showCounts() {
  show("swimmers", school.length);
  show("eaten", eaten);
  show("food", crumbs.length);
}

function dropFood(x, y) {
  for (let crumb = 0; crumb < PARAMS.crumbs; crumb += 1) {
    crumbs.push({ x: clamp(x + between(-26, 26), 10, WIDTH - 10), y: y + between(-10, 10) });
  }
  crumbs = crumbs.slice(-120);
  say(`Food falls into the water: ${PARAMS.crumbs} crumbs.`);
  showCounts();
}

function scatter() {
  fright = 1.6;
  say("Something scared them: they scatter.");
}

function nearestCrumb(swimmer) {
  let best = null;
  let bestDistance = 150;
  for (const crumb of crumbs) {
    const distance = Math.hypot(crumb.x - swimmer.x, crumb.y - swimmer.y);
    if (distance < bestDistance) {
      best = crumb;
      bestDistance = distance;
    }
  }
  return best;
}

function steer(swimmer, seconds) {
  let pullX = 0, pullY = 0, turnX = 0, turnY = 0, pushX = 0, pushY = 0, near = 0;
  for (const other of school) {
    const dx = other.x - swimmer.x;
    const dy = other.y - swimmer.y;
    const distance = Math.abs(dx) + Math.abs(dy);
    if (other === swimmer || distance > NEAR) continue;
    near += 1;
    pullX += dx;
    pullY += dy;
    turnX += other.vx - swimmer.vx;
    turnY += other.vy - swimmer.vy;
    if (distance < APART) {
      pushX -= dx;
      pushY -= dy;
    }
  }
  const bond = fright > 0 ? -2.2 : togetherness / 5;
  if (near > 0) {
    swimmer.vx += ((pullX / near) * bond + (turnX / near) * 1.4 + pushX * 6) * seconds;
    swimmer.vy += ((pullY / near) * bond + (turnY / near) * 1.4 + pushY * 6) * seconds;
  }
  const crumb = fright > 0 ? null : nearestCrumb(swimmer);
  if (crumb) {
    swimmer.vx += (crumb.x - swimmer.x) * 2.4 * seconds;
    swimmer.vy += (crumb.y - swimmer.y) * 2.4 * seconds;
    if (Math.hypot(crumb.x - swimmer.x, crumb.y - swimmer.y) < 14) eat(crumb);
  }
  avoidWalls(swimmer, seconds);
}

function eat(crumb) {
  crumbs = crumbs.filter((other) => other !== crumb);
  eaten += 1;
  showCounts();
}

function avoidWalls(swimmer, seconds) {
  const force = 220 * seconds;
  if (swimmer.x < 50) swimmer.vx += force;
  if (swimmer.x > WIDTH - 50) swimmer.vx -= force;
  if (swimmer.y < 40) swimmer.vy += force;
  if (swimmer.y > HEIGHT - 60) swimmer.vy -= force;
  const speed = Math.hypot(swimmer.vx, swimmer.vy) || 1;
  const wanted = PARAMS.speed * (fright > 0 ? 2.4 : 1);
  const factor = 1 + (wanted / speed - 1) * Math.min(1, seconds * 3);
  swimmer.vx *= factor;
  swimmer.vy *= factor;
}

function step(seconds) {
  clock += seconds;
  fright = Math.max(0, fright - seconds);
  for (const swimmer of school) {
    steer(swimmer, seconds);
    swimmer.x = clamp(swimmer.x + swimmer.vx * seconds, 8, WIDTH - 8);
    swimmer.y = clamp(swimmer.y + swimmer.vy * seconds, 8, HEIGHT - 20);
  }
  for (const crumb of crumbs) crumb.y = Math.min(HEIGHT - 16, crumb.y + 24 * seconds);
  for (const bubble of bubbles) bubble.y -= bubble.rise * seconds;
  bubbles = bubbles.filter((bubble) => bubble.y > -10);
  if (bubbles.length < 24 && random() < seconds * 5) {
    bubbles.push({ x: between(20, WIDTH - 20), y: HEIGHT, rise: between(25, 60), radius: between(2, 5) });
  }
}

function drawWater() {
  const water = ctx.createLinearGradient(0, 0, 0, HEIGHT);
  water.addColorStop(0, fade(colors.accents[2], 0.35));
  water.addColorStop(1, fade(colors.accents[2], 0.05));
  clear(ctx, colors.panel);
  clear(ctx, water);
  for (let beam = 0; beam < 4; beam += 1) {
    const x = 90 + beam * 150 + Math.sin(clock * 0.4 + beam) * 30;
    ctx.fillStyle = fade(colors.ink, 0.05);
    ctx.beginPath();
    ctx.moveTo(x, 0);
    ctx.lineTo(x + 46, 0);
    ctx.lineTo(x - 30, HEIGHT);
    ctx.lineTo(x - 120, HEIGHT);
    ctx.fill();
  }
}

function drawWeed(weed) {
  ctx.strokeStyle = fade(colors.accents[4], 0.55);
  ctx.lineWidth = 7;
  ctx.lineCap = "round";
  ctx.beginPath();
  ctx.moveTo(weed.x, HEIGHT);
  const sway = Math.sin(clock + weed.phase) * 16;
  ctx.quadraticCurveTo(weed.x - sway, HEIGHT - weed.height / 2, weed.x + sway, HEIGHT - weed.height);
  ctx.stroke();
}

function drawSwimmer(swimmer) {
  const angle = Math.atan2(swimmer.vy, swimmer.vx);
  ctx.save();
  ctx.translate(swimmer.x, swimmer.y);
  ctx.rotate(angle);
  ctx.scale(1, (swimmer.vx < 0 ? -1 : 1) * (1 + Math.sin(clock * 9 + swimmer.phase) * 0.08));
  drawThing(ctx, swimmer.thing, 0, 0, swimmer.size, 0);
  ctx.restore();
}

function draw() {
  drawWater();
  for (const weed of weeds) drawWeed(weed);
  for (const bubble of bubbles) disc(ctx, bubble.x, bubble.y, bubble.radius, fade(colors.ink, 0.25));
  for (const crumb of crumbs) disc(ctx, crumb.x, crumb.y, 3, colors.accents[1]);
  for (const swimmer of school) drawSwimmer(swimmer);
}

onClick("feed", () => {
  dropFood(between(80, WIDTH - 80), 20);
});
onClick("scatter", () => {
  scatter();
});
onSlide("together", (value) => {
  togetherness = value;
});
onPointer((point) => {
  dropFood(point.x, point.y);
});
onKeys({
  " ": () => togglePause(),
  f: () => dropFood(between(80, WIDTH - 80), 20),
  s: () => scatter(),
});
reset();
startLoop(step, draw);
