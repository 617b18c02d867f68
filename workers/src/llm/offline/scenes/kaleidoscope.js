// A kaleidoscope: a few things tumble in one wedge, and mirrors repeat the wedge around the centre.
const ctx = openCanvas();
let pieces = [];
let strokes = [];
let wedges = PARAMS.half * 2;
let turn = 0;
let spin = PARAMS.spin / 100;
let drawn = 0;

function makePiece(index) {
  return {
    thing: things[index % things.length],
    color: colors.accents[index % colors.accents.length],
    radius: between(24, 200),
    size: between(24, 70),
    tumble: between(-0.9, 0.9),
    drift: between(0.15, 0.4),
    tilt: between(0, TAU),
    phase: between(0, TAU),
  };
}

function reset() {
  pieces = [];
  for (let index = 0; index < PARAMS.pieces; index += 1) pieces.push(makePiece(index));
  strokes = [];
  drawn = 0;
  showCounts();
}

function showCounts() {
  show("pieces", pieces.length);
  show("mirrors", wedges);
  show("drawn", drawn);
}

function shake() {
  for (const piece of pieces) Object.assign(piece, makePiece(pieces.indexOf(piece)));
  say("The pieces have fallen into new places.");
}

// Folds an angle into the one wedge that the mirrors repeat.
function fold(angle) {
  const wedge = TAU / wedges;
  const rest = ((angle % wedge) + wedge) % wedge;
  return rest > wedge / 2 ? rest - wedge : rest;
}

function paint(x, y) {
  const dx = x - WIDTH / 2;
  const dy = y - HEIGHT / 2;
  const color = colors.accents[drawn % colors.accents.length];
  strokes.push({ radius: Math.hypot(dx, dy), angle: fold(Math.atan2(dy, dx) - turn), color, life: 1 });
  strokes = strokes.slice(-70);
}

function rotateBy(amount) {
  spin = clamp(spin + amount, -0.8, 0.8);
  say(`It turns at ${Math.round(spin * 100)} hundredths of a radian per second.`);
}

function step(seconds) {
  turn += spin * seconds;
  for (const piece of pieces) {
    piece.tilt += piece.tumble * seconds;
    piece.phase += seconds;
  }
  for (const stroke of strokes) stroke.life -= seconds * 0.12;
  strokes = strokes.filter((stroke) => stroke.life > 0);
}

function drawPiece(piece) {
  const radius = piece.radius + Math.sin(piece.phase * 0.8) * 18;
  const angle = (Math.sin(piece.phase * piece.drift + piece.size) * Math.PI) / wedges;
  const x = Math.cos(angle) * radius;
  const y = Math.sin(angle) * radius;
  drawThing(ctx, piece.thing, x, y, piece.size, piece.tilt, fade(piece.color, 0.82));
}

function drawWedge(index) {
  ctx.save();
  ctx.translate(WIDTH / 2, HEIGHT / 2);
  ctx.rotate(turn + (index * TAU) / wedges);
  if (index % 2 === 1) ctx.scale(1, -1);
  ctx.beginPath();
  ctx.moveTo(0, 0);
  ctx.arc(0, 0, 395, -Math.PI / wedges - 0.004, Math.PI / wedges + 0.004);
  ctx.closePath();
  ctx.clip();
  ctx.fillStyle = fade(colors.accents[index % 2], 0.1);
  ctx.fillRect(-400, -400, 800, 800);
  for (const piece of pieces) drawPiece(piece);
  for (const stroke of strokes) {
    const x = Math.cos(stroke.angle) * stroke.radius;
    const y = Math.sin(stroke.angle) * stroke.radius;
    disc(ctx, x, y, 5, fade(stroke.color, stroke.life));
    disc(ctx, x, -y, 5, fade(stroke.color, stroke.life));
  }
  ctx.restore();
}

function draw() {
  clear(ctx, colors.panel);
  for (let index = 0; index < wedges; index += 1) drawWedge(index);
  disc(ctx, WIDTH / 2, HEIGHT / 2, 5, colors.ink);
  showCounts();
}

onClick("shake", () => {
  shake();
});
onClick("wipe", () => {
  reset();
  say("Wiped: only the pieces are left.");
});
onSlide("mirrors-slider", (value) => {
  wedges = value * 2;
});
let painting = false;
onPointer(
  (point) => {
    painting = true;
    drawn += 1;
    paint(point.x, point.y);
  },
  (point) => {
    if (painting) paint(point.x, point.y);
  },
  () => {
    painting = false;
  },
);
onKeys({
  ArrowLeft: () => rotateBy(-0.1),
  ArrowRight: () => rotateBy(0.1),
  s: () => shake(),
});
reset();
startLoop(step, draw);
