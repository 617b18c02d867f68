// A function of the list that probe.js gives, for the index of one and a number of notches: turns a wheel over its middle, so
// many one way and more the other, without a mouse. Of many notches at once a mouse makes one.
function (index, notches) {
  const placed = this.place(index);
  if (!placed) return;
  const [left, top, width, height] = placed.area;
  const [clientX, clientY] = [left + width / 2, top + height / 2];
  const { WheelEvent } = window;
  for (let notch = 0; notch < notches * 2.5; notch += 1) {
    const deltaY = notch < notches ? 100 : -100;
    const told = { bubbles: true, cancelable: true, composed: true, view: window, clientX, clientY, deltaY };
    (document.elementFromPoint(clientX, clientY) ?? this[index].element).dispatchEvent(new WheelEvent("wheel", told));
  }
}
