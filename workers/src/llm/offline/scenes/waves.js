// Waves from several sources meet: where crests fall on crests they add up, where they meet troughs they vanish.
const ctx = openCanvas();
const COLUMNS = 128;
const ROWS = 80;
const CELL = WIDTH / COLUMNS;
const field = document.createElement("canvas");
const paper = field.getContext("2d");
let picture = null;
let sources = [];
let wavelength = PARAMS.wavelength;
let opposed = false;
let held = -1;
let chosen = 0;
let clock = 0;
let meter = { x: WIDTH * 0.75, y: HEIGHT * 0.5 };

function makeSource(index) {
  return {
    thing: things[index % things.length],
    x: 120 + index * 60,
    y: (HEIGHT * (index + 1)) / (PARAMS.sources + 1),
    color: colors.accents[index % colors.accents.length],
  };
}

function reset() {
  field.width = COLUMNS;
  field.height = ROWS;
  picture = paper.createImageData(COLUMNS, ROWS);
  sources = [];
  for (let index = 0; index < PARAMS.sources; index += 1) sources.push(makeSource(index));
  opposed = false;
  showValues();
}

function showValues() {
  show("sources", sources.length);
  show("phase", opposed ? "opposed" : "equal");
  show("level", heightAt(meter.x, meter.y).toFixed(2));
}

function heightAt(x, y) {
  let height = 0;
  for (let index = 0; index < sources.length; index += 1) {
    const distance = Math.hypot(x - sources[index].x, y - sources[index].y);
    const shift = opposed && index % 2 === 1 ? Math.PI : 0;
    height += Math.sin((distance / wavelength) * TAU - clock * PARAMS.speed + shift) / (1 + distance / 260);
  }
  return height;
}

function swapPhase() {
  opposed = !opposed;
  say(opposed ? "Every second source now swings the other way." : "All sources swing together.");
}

function moveChosen(x, y) {
  const source = sources[chosen];
  source.x = clamp(source.x + x, 16, WIDTH - 16);
  source.y = clamp(source.y + y, 16, HEIGHT - 16);
}

function step(seconds) {
  clock += seconds;
}

function channel(color, at) {
  return parseInt(color.slice(at, at + 2), 16);
}

const CREST = [1, 3, 5].map((at) => channel(colors.accents[0], at));
const TROUGH = [1, 3, 5].map((at) => channel(colors.accents[1], at));
const REST = [1, 3, 5].map((at) => channel(colors.panel, at));

function drawField() {
  const data = picture.data;
  let offset = 0;
  for (let row = 0; row < ROWS; row += 1) {
    for (let column = 0; column < COLUMNS; column += 1) {
      const height = heightAt((column + 0.5) * CELL, (row + 0.5) * CELL);
      const toward = height > 0 ? CREST : TROUGH;
      const share = Math.min(1, Math.abs(height) / 1.4);
      for (let part = 0; part < 3; part += 1) data[offset + part] = REST[part] + (toward[part] - REST[part]) * share;
      data[offset + 3] = 255;
      offset += 4;
    }
  }
  paper.putImageData(picture, 0, 0);
  ctx.drawImage(field, 0, 0, WIDTH, HEIGHT);
}

function drawSource(source, index) {
  disc(ctx, source.x, source.y, 21, colors.panel);
  ctx.strokeStyle = index === chosen ? colors.ink : colors.soft;
  ctx.lineWidth = index === chosen ? 4 : 2;
  ctx.stroke();
  drawThing(ctx, source.thing, source.x, source.y, 28, 0);
}

function drawMeter() {
  const level = heightAt(meter.x, meter.y);
  line(ctx, meter.x, meter.y - 34, meter.x, meter.y + 34, colors.ink, 2);
  disc(ctx, meter.x, meter.y - level * 24, 8, colors.ink);
  disc(ctx, meter.x, meter.y - level * 24, 5, colors.accents[0]);
}

function draw() {
  drawField();
  sources.forEach((source, index) => drawSource(source, index));
  drawMeter();
  showValues();
}

function press(point) {
  held = sources.findIndex((source) => Math.hypot(source.x - point.x, source.y - point.y) < 30);
  if (held >= 0) {
    chosen = held;
  } else {
    meter = point;
    say("The float now measures here.");
  }
}

function drag(point) {
  if (held < 0) return;
  sources[held].x = clamp(point.x, 16, WIDTH - 16);
  sources[held].y = clamp(point.y, 16, HEIGHT - 16);
}

onClick("swap", () => {
  swapPhase();
});
onClick("home", () => {
  reset();
  say("All sources are back.");
});
onSlide("wavelength", (value) => {
  wavelength = value;
});
onPointer(press, drag, () => {
  held = -1;
});
onKeys({
  ArrowLeft: () => moveChosen(-12, 0),
  ArrowRight: () => moveChosen(12, 0),
  ArrowUp: () => moveChosen(0, -12),
  ArrowDown: () => moveChosen(0, 12),
  " ": () => swapPhase(),
});
reset();
startLoop(step, draw);
