// A function of the list that probe.js gives, for the index of one, a share of 1 and a number of times: uses it as a person
// would, without a mouse, which costs less. A button is clicked so many times, a picker is given another value; a list and a
// slider are set to this share of what they can be. Without a share a control is set to what it was at first. Gives whether
// a person could have used it.
function (index, share, times) {
  const placed = this.place(index);
  if (!placed) return false;
  const { element, kind } = this[index];
  const changed = () => {
    for (const name of ["input", "change"]) {
      const event = document.createEvent("Event");
      event.initEvent(name, true, false);
      element.dispatchEvent(event);
    }
  };
  const pickers = { color: "#336699", date: "2024-02-29", "datetime-local": "2024-02-29T13:37", month: "2024-02", time: "13:37", week: "2024-W09" };
  const first = () => Math.max(0, [].findIndex.call(element.options, (option) => option.defaultSelected));
  if (kind === "select") element.selectedIndex = share === null ? first() : Math.floor(share * element.length);
  else if (share === null) element.value = element.defaultValue;
  else if (kind === "picker") element.value = pickers[element.type];
  else if (kind === "range") {
    const [low, high] = [Number(element.min || 0), Number(element.max || 100)];
    element.value = low + share * (high - low);
  }
  if (kind !== "button") {
    changed();
    return true;
  }
  for (let time = 0; time < times; time += 1) {
    const now = time ? this.place(index) : placed;
    if (!now) break;
    const [left, top, width, height] = now.area;
    const middle = [left + width / 2, top + height / 2];
    this[index].element.focus?.({ preventScroll: true });
    this.stroke(middle, middle);
  }
  return true;
}
