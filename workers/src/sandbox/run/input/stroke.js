// A function of the list that probe.js gives, for two points of the view: presses at the one and releases at the other, with
// what a mouse tells of that, and without a mouse, which costs less.
function (from, to) {
  // The browser's own, whatever the page calls so.
  const { constructor: MouseEvent } = document.createEvent("MouseEvents");
  const { PointerEvent } = window;
  const onto = ([x, y]) => {
    let on = document.elementFromPoint(x, y) ?? document.documentElement;
    for (let inner = on; inner; inner = inner.shadowRoot?.elementFromPoint(x, y)) {
      if (inner !== on && on.shadowRoot !== inner.getRootNode()) break;
      on = inner;
    }
    return on;
  };
  // What takes the pointer for itself is told of it until it is released, and that it has lost it then. The browser does that for
  // a mouse only.
  let captor = null;
  let holder = document.documentElement;
  while (!Object.hasOwn(holder, "setPointerCapture")) holder = Object.getPrototypeOf(holder);
  const { setPointerCapture, hasPointerCapture, releasePointerCapture } = holder;
  const lose = () => {
    const had = captor;
    captor = null;
    if (had) tellTo(had, PointerEvent, "lostpointercapture", to, 0, 0);
  };
  const tellTo = (target, Kind, name, [x, y], buttons, detail) => {
    const told = { bubbles: true, cancelable: true, composed: true, view: window, clientX: x, clientY: y, buttons, detail };
    if (Kind === PointerEvent) Object.assign(told, { pointerId: 1, pointerType: "mouse", isPrimary: true });
    if (name === "pointermove") told.coalescedEvents = [new Kind(name, told)];
    target.dispatchEvent(new Kind(name, told));
  };
  const tell = (Kind, name, at, buttons, detail) => {
    tellTo((Kind === PointerEvent && captor) || onto(at), Kind, name, at, buttons, detail);
  };
  const pressed = onto(from);
  try {
    Object.assign(holder, {
      setPointerCapture() {
        captor = this;
      },
      hasPointerCapture() {
        return captor === this;
      },
      releasePointerCapture() {
        if (captor === this) lose();
      },
    });
    tell(PointerEvent, "pointerdown", from, 1, 0);
    tell(MouseEvent, "mousedown", from, 1, 1);
    if (from.join() !== to.join()) {
      tell(PointerEvent, "pointermove", to, 1, 0);
      tell(MouseEvent, "mousemove", to, 1, 0);
    }
    tell(PointerEvent, "pointerup", to, 0, 0);
    lose();
    tell(MouseEvent, "mouseup", to, 0, 1);
    // What is released elsewhere was not clicked.
    if (onto(to) === pressed) tell(PointerEvent, "click", to, 0, 1);
  } finally {
    Object.assign(holder, { setPointerCapture, hasPointerCapture, releasePointerCapture });
  }
}
