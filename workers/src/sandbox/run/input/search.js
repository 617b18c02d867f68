// A function of the list that probe.js gives, for the index of a field by which something is searched. Without a word: gives
// up to three words to search for, each from another text of one entry of the longest list behind the field. With a word: gives
// whether it can be read on the page.
function (index, word) {
  const { element } = this[index];
  const body = document.body?.innerText.toLowerCase() ?? "";
  if (word) return body.includes(word.toLowerCase());
  const entriesMin = 4, behind = 4;
  const entriesOf = (list) => {
    const each = [...list.children].filter((entry) => entry.tagName === list.lastElementChild.tagName && entry.checkVisibility() && entry.textContent.trim());
    return each.some((entry) => entry.matches("option,button,label,script,style")) ? [] : each;
  };
  const lists = [...document.querySelectorAll("body *")].slice(0, 2000).filter((list) => element.compareDocumentPosition(list) === behind && list.childElementCount >= entriesMin);
  const [entries = []] = lists.map(entriesOf).sort((one, other) => other.length - one.length);
  if (entries.length < entriesMin) return [];
  const entry = entries[Math.floor(entries.length / 2)];
  const texts = [entry, ...entry.querySelectorAll("*")].filter((place) => !place.firstElementChild && !place.matches("button,option")).map((place) => place.textContent);
  const words = texts.map((text) => /\p{L}{3,}/u.exec(text)?.[0]).filter((found) => found && body.includes(found.toLowerCase()));
  return [...new Set(words)].slice(0, 3);
}
