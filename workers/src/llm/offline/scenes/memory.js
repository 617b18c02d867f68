// A memory game: cards lie face down, two are turned at a time, equal ones stay open.
const stage = byId("stage");
const SHADES = [colors.accents[0], colors.accents[1], colors.accents[2], colors.accents[3]];
let cards = [];
let open = [];
let turns = 0;
let found = 0;
let seconds = 0;
let peeking = 0;
let closing = 0;

function makeFaces() {
  const faces = [];
  for (const color of SHADES) {
    for (const thing of things) faces.push({ thing, color });
  }
  return faces.slice(0, PARAMS.pairs);
}

function shuffle(list) {
  for (let last = list.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [list[last], list[other]] = [list[other], list[last]];
  }
  return list;
}

function makeCard(face, index) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "card";
  button.setAttribute("aria-label", `Card ${index + 1}, face down`);
  const picture = shape(button, "svg", { viewBox: "-60 -60 120 120", "aria-hidden": "true" });
  shape(picture, "path", { d: face.thing.path, fill: face.color, "fill-rule": "evenodd" });
  const card = { face, button, index, open: false, found: false, tilt: 1 };
  button.addEventListener("click", () => turnCard(card));
  return card;
}

function reset() {
  const faces = makeFaces();
  cards = shuffle([...faces, ...faces]).map((face, index) => makeCard(face, index));
  stage.replaceChildren(...cards.map((card) => card.button));
  stage.style.gridTemplateColumns = `repeat(${Math.ceil(cards.length / 3)}, minmax(0, 1fr))`;
  open = [];
  turns = 0;
  found = 0;
  seconds = 0;
  closing = 0;
  showCounts();
  say("Turn two cards and remember what they show.");
}

function showCounts() {
  show("turns", turns);
  show("found", `${found} of ${cards.length / 2}`);
}

function turnCard(card) {
  if (card.open || card.found || open.length === 2 || paused) return;
  card.open = true;
  open.push(card);
  card.button.setAttribute("aria-label", `Card ${card.index + 1}: ${card.face.thing.name}`);
  if (open.length === 2) judge();
}

function judge() {
  const [first, second] = open;
  turns += 1;
  if (first.face === second.face) {
    first.found = true;
    second.found = true;
    found += 1;
    open = [];
    say(found * 2 === cards.length ? `All found in ${turns} turns!` : `A pair: ${first.face.thing.name}.`);
  } else {
    closing = PARAMS.lookTenths / 10;
    say("These two differ.");
  }
  showCounts();
}

function closeOpen() {
  for (const card of open) {
    card.open = false;
    card.button.setAttribute("aria-label", `Card ${card.index + 1}, face down`);
  }
  open = [];
}

function peek() {
  peeking = 1.2;
  turns += 2;
  showCounts();
  say("A quick look costs two turns.");
}

function moveFocus(by) {
  const now = cards.findIndex((card) => card.button === document.activeElement);
  const next = cards[(now + by + cards.length) % cards.length];
  next.button.focus();
}

function step(elapsed) {
  if (found * 2 < cards.length) seconds += elapsed;
  peeking = Math.max(0, peeking - elapsed);
  if (closing > 0) {
    closing -= elapsed;
    if (closing <= 0) closeOpen();
  }
  for (const card of cards) {
    const wanted = card.open || card.found || peeking > 0 ? 0 : 1;
    card.tilt += (wanted - card.tilt) * Math.min(1, elapsed * 9);
  }
}

function drawCard(card) {
  const turned = card.tilt > 0.5;
  const squeeze = Math.abs(card.tilt - 0.5) * 2;
  card.button.classList.toggle("back", turned);
  card.button.classList.toggle("found", card.found);
  card.button.style.transform = `scaleX(${Math.max(0.05, squeeze).toFixed(3)})`;
}

function draw() {
  for (const card of cards) drawCard(card);
  show("clock", `${Math.floor(seconds)} s`);
}

onClick("deal", () => {
  reset();
});
onClick("peek", () => {
  peek();
});
onKeys({
  n: () => reset(),
  p: () => peek(),
  ArrowRight: () => moveFocus(1),
  ArrowLeft: () => moveFocus(-1),
});
reset();
startLoop(step, draw);
