// Something peeps out of a hole for a moment: hit it before it hides again.
const stage = byId("stage");
let holes = [];
let score = 0;
let missed = 0;
let left = 0;
let untilNext = 0;
let playing = false;
let pace = PARAMS.pace;

function makeHole(index) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "hole";
  button.setAttribute("aria-label", `Hole ${index + 1}`);
  const picture = shape(button, "svg", { viewBox: "-60 -60 120 120", "aria-hidden": "true" });
  shape(picture, "ellipse", { cx: 0, cy: 42, rx: 52, ry: 15, fill: colors.soft, opacity: 0.55 });
  const guest = shape(picture, "path", { "fill-rule": "evenodd" });
  button.addEventListener("click", () => hit(index));
  return { index, button, guest, thing: null, shown: 0, stay: 0, struck: 0 };
}

function reset() {
  holes = [];
  for (let index = 0; index < PARAMS.holes; index += 1) holes.push(makeHole(index));
  stage.replaceChildren(...holes.map((hole) => hole.button));
  stage.style.gridTemplateColumns = "repeat(4, minmax(0, 1fr))";
  score = 0;
  missed = 0;
  left = PARAMS.seconds;
  playing = false;
  showCounts();
}

function begin() {
  reset();
  playing = true;
  untilNext = 0.3;
  say("Go!");
}

function showCounts() {
  show("score", score);
  show("missed", missed);
  show("left", `${Math.ceil(left)} s`);
}

function peep() {
  const empty = holes.filter((hole) => !hole.thing);
  if (empty.length === 0) return;
  const hole = pick(empty);
  hole.thing = pick(things);
  hole.stay = between(0.9, 1.6) * (10 / (5 + pace));
  hole.guest.setAttribute("d", hole.thing.path);
  hole.guest.setAttribute("fill", hole.thing.color);
  hole.button.setAttribute("aria-label", `Hole ${hole.index + 1}: ${hole.thing.name}`);
}

function hide(hole) {
  hole.thing = null;
  hole.button.setAttribute("aria-label", `Hole ${hole.index + 1}`);
}

function hit(index) {
  const hole = holes[index];
  if (!hole || paused) return;
  if (!playing) {
    begin();
    return;
  }
  if (hole.thing) {
    const value = things.indexOf(hole.thing) === 0 ? PARAMS.points : 10;
    score += value;
    say(`${value} points for the ${hole.thing.name}.`);
    hole.struck = 1;
    hide(hole);
  } else {
    missed += 1;
    say("Nobody there.");
  }
  showCounts();
}

function finish() {
  playing = false;
  for (const hole of holes) hide(hole);
  say(`Time is up: ${score} points, ${missed} blows into the air.`);
}

function step(seconds) {
  for (const hole of holes) {
    hole.struck = Math.max(0, hole.struck - seconds * 3);
    const wanted = hole.thing ? 1 : 0;
    hole.shown += (wanted - hole.shown) * Math.min(1, seconds * 12);
    hole.stay -= seconds;
    if (hole.thing && hole.stay <= 0) hide(hole);
  }
  if (!playing) return;
  left -= seconds;
  untilNext -= seconds;
  if (untilNext <= 0) {
    peep();
    untilNext = between(0.35, 0.8) * (10 / (5 + pace));
  }
  if (left <= 0) finish();
}

function drawHole(hole) {
  const lift = 46 - hole.shown * 48;
  hole.guest.setAttribute("transform", `translate(0 ${lift.toFixed(1)}) scale(${(0.25 + hole.shown * 0.62).toFixed(3)})`);
  hole.guest.setAttribute("opacity", hole.shown.toFixed(2));
  hole.button.style.background = hole.struck > 0 ? fade(colors.accents[0], hole.struck * 0.7) : "";
}

function draw() {
  for (const hole of holes) drawHole(hole);
  show("left", `${Math.max(0, Math.ceil(left))} s`);
}

onClick("begin", () => {
  begin();
});
onSlide("pace", (value) => {
  pace = value;
});
onKeys({
  1: () => hit(0),
  2: () => hit(1),
  3: () => hit(2),
  4: () => hit(3),
  5: () => hit(4),
  6: () => hit(5),
  7: () => hit(6),
  8: () => hit(7),
  9: () => hit(8),
  " ": () => begin(),
});
reset();
say("Press Start, then hit whatever peeps out.");
startLoop(step, draw);
