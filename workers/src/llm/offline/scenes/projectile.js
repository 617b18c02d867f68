// A shooting range with gravity and air: thrown things follow the equations of motion.
const ctx = openCanvas();
const GROUND = 350;
const START_X = 60;
const METRE = 560 / PARAMS.fieldMetres;
let angle = PARAMS.angle;
let power = PARAMS.power;
let current = 0;
let flying = [];
let trails = [];
let target = { metres: 0 };
let throws = 0;
let hits = 0;
let flash = 0;

function placeTarget() {
  target = { metres: between(PARAMS.fieldMetres * 0.35, PARAMS.fieldMetres * 0.9) };
}

function reset() {
  flying = [];
  trails = [];
  throws = 0;
  hits = 0;
  placeTarget();
  showCounts();
}

function showCounts() {
  show("throws", throws);
  show("hits", hits);
}

// How much the air slows each kind of thing: the later ones in the list are lighter.
function dragOf(index) {
  return 0.004 + index * (PARAMS.drag / 1000);
}

function launch() {
  const radians = (angle * Math.PI) / 180;
  flying.push({
    index: current,
    x: 0,
    y: 1.5,
    vx: Math.cos(radians) * power,
    vy: Math.sin(radians) * power,
    top: 1.5,
    spin: 0,
    path: [],
  });
  throws += 1;
  current = (current + 1) % things.length;
  show("next", things[current].name);
  showCounts();
}

function land(shot) {
  const miss = Math.abs(shot.x - target.metres);
  show("range", `${shot.x.toFixed(1)} m`);
  show("height", `${shot.top.toFixed(1)} m`);
  trails.push({ path: shot.path, index: shot.index });
  trails = trails.slice(-6);
  if (miss < PARAMS.fieldMetres * 0.035) {
    hits += 1;
    flash = 1;
    say(`The ${things[shot.index].name} hits! The target moves.`);
    placeTarget();
  } else {
    const side = shot.x < target.metres ? "short" : "far";
    say(`The ${things[shot.index].name} lands ${miss.toFixed(1)} m too ${side}.`);
  }
  showCounts();
}

function fly(shot, seconds) {
  const speed = Math.hypot(shot.vx, shot.vy);
  const drag = dragOf(shot.index) * speed;
  shot.vx -= drag * shot.vx * seconds;
  shot.vy -= (PARAMS.gravity / 10 + drag * shot.vy) * seconds;
  shot.x += shot.vx * seconds;
  shot.y += shot.vy * seconds;
  shot.top = Math.max(shot.top, shot.y);
  shot.spin += seconds * 4;
  shot.path.push({ x: shot.x, y: shot.y });
}

function step(seconds) {
  flash = Math.max(0, flash - seconds * 1.5);
  for (const shot of flying) {
    for (let part = 0; part < 3; part += 1) fly(shot, (seconds * 1.5) / 3);
    if (shot.y <= 0) land(shot);
  }
  flying = flying.filter((shot) => shot.y > 0);
}

function toScreen(point) {
  return { x: START_X + point.x * METRE, y: GROUND - point.y * METRE };
}

function drawField() {
  const sky = ctx.createLinearGradient(0, 0, 0, GROUND);
  sky.addColorStop(0, fade(colors.accents[1], 0.28));
  sky.addColorStop(1, fade(colors.accents[1], 0.04));
  clear(ctx, colors.panel);
  clear(ctx, sky);
  ctx.fillStyle = fade(colors.accents[4], 0.45);
  ctx.fillRect(0, GROUND, WIDTH, HEIGHT - GROUND);
  for (let metres = 0; metres <= PARAMS.fieldMetres; metres += PARAMS.fieldMetres / 5) {
    const x = START_X + metres * METRE;
    line(ctx, x, GROUND, x, GROUND + 8, colors.ink, 2);
    label(ctx, `${Math.round(metres)} m`, clamp(x, 24, WIDTH - 34), GROUND + 24, colors.ink, 16);
  }
}

function drawTarget() {
  const place = toScreen({ x: target.metres, y: 0 });
  disc(ctx, place.x, place.y, 20 + flash * 26, fade(colors.accents[0], 0.3 + flash * 0.4));
  disc(ctx, place.x, place.y, 14, colors.ink);
  disc(ctx, place.x, place.y, 9, colors.accents[0]);
  disc(ctx, place.x, place.y, 4, colors.ink);
}

function drawLauncher() {
  const radians = (angle * Math.PI) / 180;
  const place = toScreen({ x: 0, y: 1.5 });
  const reach = 24 + power * 0.9;
  line(ctx, place.x, place.y, place.x + Math.cos(radians) * reach, place.y - Math.sin(radians) * reach, colors.ink, 9);
  disc(ctx, place.x, place.y, 15, colors.accents[3]);
  drawThing(ctx, things[current], place.x, place.y - 44, 24, 0);
}

function drawPath(path, color) {
  ctx.fillStyle = color;
  for (let index = 0; index < path.length; index += 6) {
    const place = toScreen(path[index]);
    ctx.fillRect(place.x - 1.5, place.y - 1.5, 3, 3);
  }
}

function draw() {
  drawField();
  for (const trail of trails) drawPath(trail.path, fade(things[trail.index].color, 0.6));
  drawTarget();
  drawLauncher();
  for (const shot of flying) {
    const place = toScreen(shot);
    drawPath(shot.path, things[shot.index].color);
    drawThing(ctx, things[shot.index], place.x, place.y, 30, shot.spin);
  }
}

function turn(degrees) {
  angle = clamp(angle + degrees, 5, 85);
  byId("angle").value = angle;
  show("angle-value", angle);
}

onClick("throw", () => {
  launch();
});
onClick("clear", () => {
  reset();
  say("The field is clear again.");
});
onSlide("angle", (value) => {
  angle = value;
});
onSlide("power", (value) => {
  power = value;
});
onPointer((point) => {
  const place = toScreen({ x: 0, y: 1.5 });
  const aim = (Math.atan2(place.y - point.y, point.x - place.x) * 180) / Math.PI;
  turn(Math.round(aim) - angle);
});
onKeys({
  " ": () => launch(),
  ArrowUp: () => turn(2),
  ArrowDown: () => turn(-2),
});
show("next", things[current].name);
reset();
startLoop(step, draw);
