// A wall of bricks, a paddle and a ball; some bricks let something fall that is worth catching.
const ctx = openCanvas();
const PADDLE_Y = HEIGHT - 24;
let bricks = [];
let falling = [];
let ball = null;
let paddle = { x: WIDTH / 2, width: PARAMS.paddle, push: 0 };
let score = 0;
let lives = 0;
let level = 1;
let pace = PARAMS.pace;

function makeWall() {
  const wall = [];
  const width = (WIDTH - 40) / PARAMS.columns;
  for (let row = 0; row < PARAMS.rows; row += 1) {
    for (let column = 0; column < PARAMS.columns; column += 1) {
      const gift = random() < 0.24 ? pick(things) : null;
      wall.push({ x: 20 + column * width, y: 44 + row * 24, width: width - 5, height: 18, row, gift });
    }
  }
  return wall;
}

function serve() {
  ball = { x: paddle.x, y: PADDLE_Y - 12, vx: 0, vy: 0, resting: true };
}

function reset() {
  bricks = makeWall();
  falling = [];
  score = 0;
  lives = PARAMS.lives;
  level = 1;
  serve();
  showCounts();
}

function showCounts() {
  show("score", score);
  show("lives", lives);
  show("level", level);
}

function launch() {
  if (lives === 0) {
    reset();
    say("A new game.");
  }
  if (!ball.resting) return;
  const angle = between(-0.5, 0.5);
  const speed = 150 + pace * 22 + level * 12;
  ball.vx = Math.sin(angle) * speed;
  ball.vy = -Math.cos(angle) * speed;
  ball.resting = false;
  say("The ball is under way.");
}

function movePaddle(x) {
  paddle.x = clamp(x, paddle.width / 2, WIDTH - paddle.width / 2);
}

function hitBrick(brick) {
  bricks = bricks.filter((other) => other !== brick);
  score += 10 * (PARAMS.rows - brick.row);
  if (brick.gift) falling.push({ thing: brick.gift, x: brick.x + brick.width / 2, y: brick.y });
  const above = ball.y < brick.y || ball.y > brick.y + brick.height;
  if (above) ball.vy = -ball.vy;
  else ball.vx = -ball.vx;
  if (bricks.length === 0) nextLevel();
  showCounts();
}

function nextLevel() {
  level += 1;
  bricks = makeWall();
  serve();
  say(`Level ${level}: the ball gets faster.`);
}

function loseBall() {
  lives = Math.max(0, lives - 1);
  serve();
  showCounts();
  say(lives > 0 ? `Missed. ${lives} left.` : `Game over with ${score} points. Launch to play again.`);
}

function bouncePaddle() {
  const offset = (ball.x - paddle.x) / (paddle.width / 2);
  const speed = Math.hypot(ball.vx, ball.vy);
  ball.vx = Math.sin(offset) * speed;
  ball.vy = -Math.abs(Math.cos(offset) * speed);
}

function moveBall(seconds) {
  if (ball.resting) {
    ball.x = paddle.x;
    return;
  }
  ball.x += ball.vx * seconds;
  ball.y += ball.vy * seconds;
  if (ball.x < 8 || ball.x > WIDTH - 8) ball.vx = -ball.vx;
  if (ball.y < 8) ball.vy = Math.abs(ball.vy);
  ball.x = clamp(ball.x, 8, WIDTH - 8);
  const near = Math.abs(ball.x - paddle.x) < paddle.width / 2 + 6;
  if (ball.vy > 0 && near && ball.y > PADDLE_Y - 10 && ball.y < PADDLE_Y + 8) bouncePaddle();
  const brick = bricks.find((each) => ball.x > each.x - 6 && ball.x < each.x + each.width + 6 && ball.y > each.y - 6 && ball.y < each.y + each.height + 6);
  if (brick) hitBrick(brick);
  if (ball.y > HEIGHT + 12) loseBall();
}

function moveGifts(seconds) {
  for (const gift of falling) gift.y += 95 * seconds;
  const caught = falling.filter((gift) => Math.abs(gift.x - paddle.x) < paddle.width / 2 + 8 && Math.abs(gift.y - PADDLE_Y) < 12);
  for (const gift of caught) {
    score += PARAMS.giftPoints;
    say(`Caught: ${gift.thing.name}, ${PARAMS.giftPoints} points.`);
    showCounts();
  }
  falling = falling.filter((gift) => !caught.includes(gift) && gift.y < HEIGHT + 20);
}

function step(seconds) {
  if (paddle.push !== 0) movePaddle(paddle.x + paddle.push * seconds);
  paddle.push *= Math.max(0, 1 - seconds * 6);
  moveBall(seconds);
  moveGifts(seconds);
}

function drawBrick(brick) {
  ctx.fillStyle = colors.accents[brick.row % colors.accents.length];
  ctx.fillRect(brick.x, brick.y, brick.width, brick.height);
  ctx.fillStyle = fade(colors.ink, 0.16);
  ctx.fillRect(brick.x, brick.y + brick.height - 4, brick.width, 4);
  if (brick.gift) drawThing(ctx, brick.gift, brick.x + brick.width / 2, brick.y + 9, 15, 0, colors.panel);
}

function drawPaddle() {
  ctx.fillStyle = colors.ink;
  ctx.fillRect(paddle.x - paddle.width / 2, PADDLE_Y - 5, paddle.width, 10);
  disc(ctx, paddle.x - paddle.width / 2, PADDLE_Y, 5, colors.accents[0]);
  disc(ctx, paddle.x + paddle.width / 2, PADDLE_Y, 5, colors.accents[0]);
}

function draw() {
  clear(ctx, colors.panel);
  for (const brick of bricks) drawBrick(brick);
  for (const gift of falling) drawThing(ctx, gift.thing, gift.x, gift.y, 24, 0);
  drawPaddle();
  disc(ctx, ball.x, ball.y, 7, colors.accents[0]);
  if (lives === 0) label(ctx, "Game over", WIDTH / 2, HEIGHT / 2, colors.ink, 34);
}

onClick("launch", () => {
  launch();
});
onClick("again", () => {
  reset();
  say("A new wall.");
});
onSlide("pace", (value) => {
  pace = value;
});
onPointer(
  (point) => {
    movePaddle(point.x);
    launch();
  },
  (point) => movePaddle(point.x),
);
onKeys({
  ArrowLeft: () => movePaddle(paddle.x - 34),
  ArrowRight: () => movePaddle(paddle.x + 34),
  " ": () => launch(),
  n: () => reset(),
});
reset();
startLoop(step, draw);
