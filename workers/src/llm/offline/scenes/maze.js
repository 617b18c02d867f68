// A maze without loops: collect everything that lies in it, then walk out.
const stage = byId("stage");
const COLUMNS = PARAMS.columns;
const ROWS = PARAMS.rows;
const CELL = Math.min((WIDTH - 20) / COLUMNS, (HEIGHT - 20) / ROWS);
const LEFT = (WIDTH - COLUMNS * CELL) / 2;
const UPPER = (HEIGHT - ROWS * CELL) / 2;
const SIDES = [[0, -1], [1, 0], [0, 1], [-1, 0]];
let openings = [];
let treasures = [];
let walker = null;
let path = [];
let sinceStep = 0;
let steps = 0;
let found = 0;
let seconds = 0;
let won = false;
let hintLine = null;

function cellAt(x, y) {
  return y * COLUMNS + x;
}

// Carves passages by walking at random and turning back at dead ends.
function carve() {
  openings = Array.from({ length: COLUMNS * ROWS }, () => [false, false, false, false]);
  const seen = new Set([0]);
  const trail = [[0, 0]];
  while (trail.length > 0) {
    const [x, y] = trail[trail.length - 1];
    const ways = [0, 1, 2, 3].filter((side) => canCarve(x + SIDES[side][0], y + SIDES[side][1], seen));
    if (ways.length === 0) {
      trail.pop();
      continue;
    }
    const side = pick(ways);
    const next = [x + SIDES[side][0], y + SIDES[side][1]];
    openings[cellAt(x, y)][side] = true;
    openings[cellAt(next[0], next[1])][(side + 2) % 4] = true;
    seen.add(cellAt(next[0], next[1]));
    trail.push(next);
  }
}

function canCarve(x, y, seen) {
  return x >= 0 && y >= 0 && x < COLUMNS && y < ROWS && !seen.has(cellAt(x, y));
}

function centre(x, y) {
  return { x: LEFT + (x + 0.5) * CELL, y: UPPER + (y + 0.5) * CELL };
}

function drawWalls() {
  let lines = "";
  for (let y = 0; y < ROWS; y += 1) {
    for (let x = 0; x < COLUMNS; x += 1) {
      const [up, right, down, left] = openings[cellAt(x, y)];
      const x1 = LEFT + x * CELL;
      const y1 = UPPER + y * CELL;
      if (!up) lines += `M${x1} ${y1}h${CELL}`;
      if (!left) lines += `M${x1} ${y1}v${CELL}`;
      if (!right && x === COLUMNS - 1) lines += `M${x1 + CELL} ${y1}v${CELL}`;
      if (!down && y === ROWS - 1) lines += `M${x1} ${y1 + CELL}h${CELL}`;
    }
  }
  shape(stage, "path", { d: lines, stroke: colors.ink, "stroke-width": 3, "stroke-linecap": "round", fill: "none" });
}

function place(thing, x, y, size, color) {
  const at = centre(x, y);
  const scale = (CELL * size) / 100;
  return shape(stage, "path", { d: thing.path, fill: color, "fill-rule": "evenodd", transform: `translate(${at.x} ${at.y}) scale(${scale})` });
}

function hideTreasure(index) {
  const thing = things[index % things.length];
  let x = 0;
  let y = 0;
  do {
    x = Math.floor(between(1, COLUMNS));
    y = Math.floor(between(0, ROWS - 1));
  } while (treasures.some((other) => other.x === x && other.y === y));
  return { thing, x, y, element: place(thing, x, y, 0.62, thing.color), taken: false };
}

function reset() {
  stage.replaceChildren();
  carve();
  const goal = centre(COLUMNS - 1, ROWS - 1);
  shape(stage, "circle", { cx: goal.x, cy: goal.y, r: CELL * 0.42, fill: colors.accents[4], opacity: 0.35 });
  hintLine = shape(stage, "path", { d: "", stroke: colors.accents[1], "stroke-width": 4, "stroke-dasharray": "2 9", "stroke-linecap": "round", fill: "none" });
  drawWalls();
  treasures = [];
  for (let index = 0; index < PARAMS.treasures; index += 1) treasures.push(hideTreasure(index));
  walker = { x: 0, y: 0, shownX: 0, shownY: 0, element: shape(stage, "circle", { r: CELL * 0.28, fill: colors.accents[0], stroke: colors.ink, "stroke-width": 2 }) };
  path = [];
  steps = 0;
  found = 0;
  seconds = 0;
  won = false;
  showCounts();
}

function showCounts() {
  show("steps", steps);
  show("found", `${found} of ${treasures.length}`);
}

function walk(side) {
  if (won || paused || !openings[cellAt(walker.x, walker.y)][side]) return;
  walker.x += SIDES[side][0];
  walker.y += SIDES[side][1];
  steps += 1;
  collect();
  showCounts();
}

function collect() {
  for (const treasure of treasures) {
    if (treasure.taken || treasure.x !== walker.x || treasure.y !== walker.y) continue;
    treasure.taken = true;
    treasure.element.remove();
    found += 1;
    say(`Found: ${treasure.thing.name}.`);
  }
  if (walker.x === COLUMNS - 1 && walker.y === ROWS - 1) reachGoal();
}

function reachGoal() {
  if (found < treasures.length) {
    say(`This is the way out, but ${treasures.length - found} things are still inside.`);
    return;
  }
  won = true;
  say(`Out with everything after ${steps} steps!`);
}

// The sides to walk through from the walker to a cell, found breadth first.
function route(toX, toY) {
  const from = new Map([[cellAt(walker.x, walker.y), null]]);
  const queue = [[walker.x, walker.y]];
  while (queue.length > 0) {
    const [x, y] = queue.shift();
    for (let side = 0; side < 4; side += 1) {
      const next = [x + SIDES[side][0], y + SIDES[side][1]];
      if (!openings[cellAt(x, y)][side] || from.has(cellAt(next[0], next[1]))) continue;
      from.set(cellAt(next[0], next[1]), { x, y, side });
      queue.push(next);
    }
  }
  const sides = [];
  let step = from.get(cellAt(toX, toY));
  while (step) {
    sides.unshift(step.side);
    step = from.get(cellAt(step.x, step.y));
  }
  return sides;
}

function showWay() {
  const next = treasures.find((treasure) => !treasure.taken) || { x: COLUMNS - 1, y: ROWS - 1 };
  let at = { x: walker.x, y: walker.y };
  let line = "";
  for (const side of [...route(next.x, next.y), 0]) {
    const point = centre(at.x, at.y);
    line += `${line === "" ? "M" : "L"}${point.x} ${point.y}`;
    at = { x: at.x + SIDES[side][0], y: at.y + SIDES[side][1] };
  }
  hintLine.setAttribute("d", line);
  say("The dotted line leads to the next thing.");
}

function step(elapsed) {
  if (!won) seconds += elapsed;
  sinceStep += elapsed;
  if (path.length > 0 && sinceStep > PARAMS.stepMillis / 1000) {
    sinceStep = 0;
    walk(path.shift());
  }
  walker.shownX += (walker.x - walker.shownX) * Math.min(1, elapsed * 14);
  walker.shownY += (walker.y - walker.shownY) * Math.min(1, elapsed * 14);
}

function draw() {
  const at = centre(walker.shownX, walker.shownY);
  walker.element.setAttribute("cx", at.x.toFixed(2));
  walker.element.setAttribute("cy", at.y.toFixed(2));
  show("clock", `${Math.floor(seconds)} s`);
}

onClick("way", () => {
  showWay();
});
onClick("new", () => {
  reset();
  say("A new maze.");
});
onPointer((point) => {
  const x = clamp(Math.floor((point.x - LEFT) / CELL), 0, COLUMNS - 1);
  const y = clamp(Math.floor((point.y - UPPER) / CELL), 0, ROWS - 1);
  path = route(x, y);
});
onKeys({
  ArrowUp: () => walk(0),
  ArrowRight: () => walk(1),
  ArrowDown: () => walk(2),
  ArrowLeft: () => walk(3),
  h: () => showWay(),
});
reset();
startLoop(step, draw);
