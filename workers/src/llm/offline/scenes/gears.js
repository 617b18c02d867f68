// A train of gears: each drives the next, so neighbours turn opposite ways at speeds set by their teeth.
const stage = byId("stage");
const TOOTH = 11;
let gears = [];
let rpm = PARAMS.rpm;
let direction = 1;
let turned = 0;
let chosen = 0;

// Radius of the circle on which teeth of two gears meet.
function radiusOf(teeth) {
  return (teeth * TOOTH) / TAU;
}

function outline(teeth) {
  const radius = radiusOf(teeth);
  const points = [];
  for (let tooth = 0; tooth < teeth; tooth += 1) {
    const at = (tooth / teeth) * TAU;
    const part = TAU / teeth;
    for (const [share, lift] of [[-0.3, -5], [-0.16, 5], [0.16, 5], [0.3, -5]]) {
      const x = Math.cos(at + part * share) * (radius + lift);
      const y = Math.sin(at + part * share) * (radius + lift);
      points.push(`${x.toFixed(2)},${y.toFixed(2)}`);
    }
  }
  return points.join(" ");
}

function makeGear(index, teeth, previous) {
  const radius = radiusOf(teeth);
  const lift = index % 2 === 0 ? 0.5 : -0.5;
  const bend = index === 0 ? 0 : lift;
  const reach = previous ? radiusOf(previous.teeth) + radius : 0;
  const x = previous ? previous.x + Math.cos(bend) * reach : radius;
  const y = previous ? previous.y + Math.sin(bend) * reach : 0;
  return { index, teeth, radius, x, y, bend, angle: 0, thing: things[index % things.length], parts: null };
}

// Turns each gear so that its teeth fall into the gaps of the one before it.
function mesh(gear, previous) {
  if (!previous) return;
  const facing = gear.bend;
  const phase = ((facing - previous.angle) * previous.teeth) / TAU;
  gear.angle = facing + Math.PI + ((phase + 0.5) / gear.teeth) * TAU;
}

function drawParts(gear) {
  const group = shape(stage, "g", {});
  const color = colors.accents[gear.index % colors.accents.length];
  shape(group, "polygon", { points: outline(gear.teeth), fill: color, stroke: colors.ink, "stroke-width": 1.5, "stroke-linejoin": "round" });
  shape(group, "circle", { r: gear.radius * 0.66, fill: colors.panel, opacity: 0.85 });
  shape(group, "path", { d: gear.thing.path, fill: color, "fill-rule": "evenodd", transform: `scale(${(gear.radius / 95).toFixed(3)})` });
  shape(group, "circle", { r: 4, fill: colors.ink });
  group.style.cursor = "pointer";
  gear.parts = group;
}

function fitTrain() {
  const left = Math.min(...gears.map((gear) => gear.x - gear.radius)) - 12;
  const right = Math.max(...gears.map((gear) => gear.x + gear.radius)) + 12;
  const upper = Math.min(...gears.map((gear) => gear.y - gear.radius)) - 12;
  const lower = Math.max(...gears.map((gear) => gear.y + gear.radius)) + 12;
  const scale = Math.min(WIDTH / (right - left), HEIGHT / (lower - upper));
  const width = WIDTH / scale;
  const height = HEIGHT / scale;
  const x = (left + right - width) / 2;
  const y = (upper + lower - height) / 2;
  stage.setAttribute("viewBox", `${x.toFixed(1)} ${y.toFixed(1)} ${width.toFixed(1)} ${height.toFixed(1)}`);
}

function reset() {
  stage.replaceChildren();
  gears = [];
  for (let index = 0; index < PARAMS.gears; index += 1) {
    const teeth = Math.round(between(PARAMS.teethMin, PARAMS.teethMin + 16));
    const previous = gears[index - 1];
    const gear = makeGear(index, teeth, previous);
    mesh(gear, previous);
    gears.push(gear);
  }
  for (const gear of gears) drawParts(gear);
  turned = 0;
  fitTrain();
  choose(0);
}

function speedOf(gear) {
  const sign = gear.index % 2 === 0 ? 1 : -1;
  return ((rpm * gears[0].teeth) / gear.teeth) * sign * direction;
}

function choose(index) {
  chosen = (index + gears.length) % gears.length;
  for (const gear of gears) gear.parts.firstChild.setAttribute("stroke-width", gear.index === chosen ? 5 : 1.5);
  showGear();
}

function showGear() {
  const gear = gears[chosen];
  show("gear", `${chosen + 1} of ${gears.length}`);
  show("teeth", gear.teeth);
  show("ratio", (gears[0].teeth / gear.teeth).toFixed(2));
  show("turning", `${Math.abs(speedOf(gear)).toFixed(1)} rpm`);
}

function reverse() {
  direction = -direction;
  say(direction > 0 ? "The first gear turns clockwise." : "The first gear turns anticlockwise.");
}

function setSpeed(value) {
  rpm = clamp(value, 0, 60);
  byId("rpm").value = rpm;
  show("rpm-value", rpm);
  showGear();
}

function step(seconds) {
  for (const gear of gears) gear.angle += (speedOf(gear) / 60) * TAU * seconds;
  turned += (rpm / 60) * seconds;
}

function draw() {
  for (const gear of gears) {
    const degrees = ((gear.angle * 180) / Math.PI) % 360;
    gear.parts.setAttribute("transform", `translate(${gear.x} ${gear.y}) rotate(${degrees.toFixed(2)})`);
  }
  show("turns", turned.toFixed(1));
}

stage.addEventListener("click", (event) => {
  const gear = gears.find((candidate) => candidate.parts.contains(event.target));
  if (gear) choose(gear.index);
});

reset();
onClick("reverse", () => {
  reverse();
});
onClick("rebuild", () => {
  reset();
  say("A new train of gears.");
});
onSlide("rpm", (value) => {
  rpm = value;
  showGear();
});
onKeys({
  ArrowUp: () => setSpeed(rpm + 2),
  ArrowDown: () => setSpeed(rpm - 2),
  ArrowRight: () => choose(chosen + 1),
  ArrowLeft: () => choose(chosen - 1),
  r: () => reverse(),
});
startLoop(step, draw);
