// A function of the list that probe.js gives, for two points of the view: presses at the one and releases at the other, with
// what a mouse tells of that, and without a mouse, which costs less.
function (from, to) {
  // The browser's own, whatever the page calls so.
  const { constructor: MouseEvent } = document.createEvent("MouseEvents");
  const { PointerEvent } = window;
  const tell = (Kind, name, [x, y], buttons, detail) => {
    let on = document.elementFromPoint(x, y) ?? document.documentElement;
    while (on.shadowRoot?.elementFromPoint(x, y)) on = on.shadowRoot.elementFromPoint(x, y);
    const pointer = Kind === PointerEvent ? { pointerId: 1, pointerType: "mouse", isPrimary: true } : {};
    on.dispatchEvent(new Kind(name, { bubbles: true, cancelable: true, composed: true, view: window, clientX: x, clientY: y, buttons, detail, ...pointer }));
  };
  tell(PointerEvent, "pointerdown", from, 1, 0);
  tell(MouseEvent, "mousedown", from, 1, 1);
  tell(PointerEvent, "pointermove", to, 1, 0);
  tell(MouseEvent, "mousemove", to, 1, 0);
  tell(PointerEvent, "pointerup", to, 0, 0);
  tell(MouseEvent, "mouseup", to, 0, 1);
  tell(MouseEvent, "click", to, 0, 1);
}
