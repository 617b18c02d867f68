// A function of the list that probe.js gives, for the index of one and a share of 1: uses it as a person would, without a
// mouse, which costs less. A button is clicked, a picker is given another value; a list and a slider are set to this share
// of what they can be. Without a share a control is set to what it was at first. A button is clicked so many times, a frame
// apart. Gives whether a person could have used it.
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
  if (kind === "select") {
    // Nobody can choose what is disabled; where that was chosen at first, nothing is set back.
    const open = [].filter.call(element.options, (option) => !option.matches(":disabled"));
    const first = [].find.call(element.options, (option) => option.defaultSelected) ?? element.options[0];
    const chosen = share === null ? first : open[Math.floor(share * open.length)];
    if (!open.includes(chosen)) return false;
    chosen.selected = true;
  } else if (share === null && ["checkbox", "radio"].includes(element.type)) {
    if (element.checked === element.defaultChecked || (element.type === "radio" && element.checked)) return false;
  } else if (share === null) {
    if (element.readOnly || element.defaultValue === undefined) return false;
    element.value = element.defaultValue;
  } else if (kind === "picker") {
    if (!(element.type in pickers)) return false;
    element.value = pickers[element.type];
  } else if (kind === "range") {
    const [low, high] = [Number(element.min || 0), Number(element.max || 100)];
    element.value = low + share * (high - low);
  }
  if (kind !== "button") {
    changed();
    return true;
  }
  const [left, top, width, height] = placed.area;
  const middle = [left + width / 2, top + height / 2];
  element.focus?.({ preventScroll: true });
  this.stroke(middle, middle);
  if (times > 1) this.later(() => this.play(index, share, times - 1), 17);
  return true;
}
