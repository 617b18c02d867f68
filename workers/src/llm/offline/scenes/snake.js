// A snake that grows with everything it eats, on a field of squares.
const ctx = openCanvas();
const CELL = PARAMS.cell;
const COLUMNS = Math.floor(WIDTH / CELL);
const ROWS = Math.floor(HEIGHT / CELL);
let snake = [];
let heading = { x: 1, y: 0 };
let turns = [];
let food = [];
let sinceMove = 0;
let pace = PARAMS.pace;
let eaten = 0;
let best = 0;
let over = false;

function isFree(x, y) {
  return !snake.some((part) => part.x === x && part.y === y) && !food.some((item) => item.x === x && item.y === y);
}

function placeFood() {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const x = Math.floor(random() * COLUMNS);
    const y = Math.floor(random() * ROWS);
    if (isFree(x, y)) {
      food.push({ x, y, thing: pick(things), age: 0 });
      return;
    }
  }
}

function reset() {
  const middle = Math.floor(ROWS / 2);
  snake = [];
  for (let part = 0; part < PARAMS.length; part += 1) snake.push({ x: 5 + PARAMS.length - part, y: middle });
  heading = { x: 1, y: 0 };
  turns = [];
  food = [];
  for (let item = 0; item < PARAMS.meals; item += 1) placeFood();
  eaten = 0;
  over = false;
  showCounts();
}

function showCounts() {
  best = Math.max(best, eaten);
  show("eaten", eaten);
  show("best", best);
  show("length", snake.length);
}

function turn(x, y) {
  const last = turns.length > 0 ? turns[turns.length - 1] : heading;
  if (over || last.x === -x || last.y === -y) return;
  turns.push({ x, y });
  turns = turns.slice(-3);
}

function turnTowards(point) {
  const head = snake[0];
  const dx = point.x / CELL - head.x - 0.5;
  const dy = point.y / CELL - head.y - 0.5;
  if (heading.x !== 0) turn(0, dy > 0 ? 1 : -1);
  else turn(dx > 0 ? 1 : -1, 0);
}

function end(reason) {
  over = true;
  say(`${reason} The game ends with ${eaten} eaten; press Enter or New game.`);
}

function advance() {
  heading = turns.shift() || heading;
  const head = { x: snake[0].x + heading.x, y: snake[0].y + heading.y };
  if (PARAMS.walls === "open") {
    head.x = (head.x + COLUMNS) % COLUMNS;
    head.y = (head.y + ROWS) % ROWS;
  }
  if (head.x < 0 || head.y < 0 || head.x >= COLUMNS || head.y >= ROWS) {
    end("Into the wall.");
    return;
  }
  if (snake.some((part) => part.x === head.x && part.y === head.y)) {
    end("It bit itself.");
    return;
  }
  snake.unshift(head);
  const meal = food.find((item) => item.x === head.x && item.y === head.y);
  if (meal) eat(meal);
  else snake.pop();
}

function eat(meal) {
  food = food.filter((item) => item !== meal);
  eaten += 1;
  placeFood();
  say(`It ate: ${meal.thing.name}.`);
  showCounts();
}

function step(seconds) {
  for (const item of food) item.age += seconds;
  if (over) return;
  sinceMove += seconds;
  const wait = 1 / (3 + pace);
  if (sinceMove > wait) {
    sinceMove = 0;
    advance();
  }
}

function drawField() {
  clear(ctx, colors.panel);
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = row % 2; column < COLUMNS; column += 2) {
      ctx.fillStyle = fade(colors.ink, 0.04);
      ctx.fillRect(column * CELL, row * CELL, CELL, CELL);
    }
  }
}

function drawPart(part, index) {
  const share = 1 - index / (snake.length + 4);
  const inset = index === 0 ? 1 : 2 + (1 - share) * 3;
  ctx.fillStyle = fade(colors.accents[over ? 1 : 4], 0.45 + share * 0.55);
  ctx.beginPath();
  ctx.arc((part.x + 0.5) * CELL, (part.y + 0.5) * CELL, CELL / 2 - inset + 2, 0, TAU);
  ctx.fill();
}

function drawEyes() {
  const head = snake[0];
  const x = (head.x + 0.5 + heading.x * 0.15) * CELL;
  const y = (head.y + 0.5 + heading.y * 0.15) * CELL;
  for (const side of [-1, 1]) {
    disc(ctx, x - heading.y * side * CELL * 0.18, y + heading.x * side * CELL * 0.18, 3.4, colors.panel);
    disc(ctx, x - heading.y * side * CELL * 0.18, y + heading.x * side * CELL * 0.18, 1.6, colors.ink);
  }
}

function draw() {
  drawField();
  for (const item of food) {
    const size = CELL * (0.86 + Math.sin(item.age * 4) * 0.06);
    drawThing(ctx, item.thing, (item.x + 0.5) * CELL, (item.y + 0.5) * CELL, size, 0);
  }
  snake.forEach((part, index) => drawPart(part, index));
  drawEyes();
  if (over) label(ctx, "Game over", WIDTH / 2, HEIGHT / 2, colors.ink, 36);
}

onClick("new", () => {
  reset();
  say("A new game.");
});
onSlide("pace", (value) => {
  pace = value;
});
onPointer((point) => {
  turnTowards(point);
});
onKeys({
  ArrowLeft: () => turn(-1, 0),
  ArrowRight: () => turn(1, 0),
  ArrowUp: () => turn(0, -1),
  ArrowDown: () => turn(0, 1),
  Enter: () => reset(),
  " ": () => togglePause(),
});
reset();
startLoop(step, draw);
