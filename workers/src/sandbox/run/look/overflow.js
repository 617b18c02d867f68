// Gives the words for the first element that makes the page wider than the view, or null.
(() => {
  const root = document.documentElement;
  const hidden = [root, document.body].some((element) => element && /hidden|clip/.test(getComputedStyle(element).overflowX));
  if (hidden || root.scrollWidth <= root.clientWidth + 4) return null;
  // What a script has put where it is, it would have put elsewhere on a phone.
  const parentOf = document.createComment("").__lookupGetter__("parentElement");
  const isPut = (element) => {
    for (let place = element; place; place = parentOf.call(place)) {
      if (parseFloat(place.style?.left) && /absolute|fixed/.test(getComputedStyle(place).position)) return true;
    }
    return false;
  };
  const wides = [...document.querySelectorAll("body *")].slice(0, 2000).filter((element) => element.getBoundingClientRect().right > root.clientWidth + 4);
  const wide = wides.find((element) => !isPut(element));
  if (wides.length && !wide) return null;
  const name = wide ? wide.tagName.toLowerCase() + (wide.id ? `#${wide.id.slice(0, 40)}` : "") : "the page";
  return `${name} makes the page ${root.scrollWidth} px wide, more than the ${root.clientWidth} px of a phone`;
})()
